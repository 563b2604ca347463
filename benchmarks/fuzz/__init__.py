"""Hostile inputs for every surface, drawn from a seed: ``python -m benchmarks.fuzz`` runs them and prints a table."""

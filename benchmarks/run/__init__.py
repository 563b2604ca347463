"""Ours against the original, in turn in one process, as one table and as JSON. See ``benchmarks/run/__main__.py``."""

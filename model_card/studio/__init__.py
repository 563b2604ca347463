"""The folder of a Studio on ModelScope, made by a script."""

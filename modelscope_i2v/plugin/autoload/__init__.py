"""Registration when ModelScope is imported, without an import of this package: the hub's snippet works unchanged.

Opt-in: a start-up file in ``site-packages`` watches for imports of the ModelScope modules that look up classes.
"""

"""Registration when ModelScope is imported, without our import: the hub's snippet works untouched.

Opt-in: a start-up file in ``site-packages`` watches for the import of ModelScope's parts that look up classes.
"""

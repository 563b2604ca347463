"""Registration when ModelScope is imported, without an import of this package: the hub's snippet works unchanged.

Opt-in: a start-up file in ``site-packages`` imports this package as soon as a program looks for ``modelscope``.
"""

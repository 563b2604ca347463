"""Training: one loop, the objectives it minimises and the data it reads.

It needs the extra ``train``: ``pip install '.[train]'`` in a clone.
"""

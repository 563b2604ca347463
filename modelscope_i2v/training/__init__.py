"""Training: one loop, the objectives it minimises, the data it reads, and the world that the embedded models know.

Needs the extra ``train``: ``pip install 'modelscope_i2v[train]'``.
"""

"""Many users, one machine: an engine with a queue of jobs, and an HTTP API on top of it.

:class:`~modelscope_i2v.serving.engine.Engine` knows nothing of HTTP; the API and pages call the same methods.
"""

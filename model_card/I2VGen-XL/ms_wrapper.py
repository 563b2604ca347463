"""Lets ModelScope find the classes of this page: they come from the package that requirements.txt names."""

import modelscope_i2v  # noqa: F401

"""The version of this package, which setup.py reads from here, and where the package comes from."""

__version__ = '0.1.0'
#: No package of this name is on the index: what messages tell people to run to get an extra.
INSTALL = "pip install '.[{extra}]' in a clone of modelscope_i2v"

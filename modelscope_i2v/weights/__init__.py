"""Reads checkpoints safely and loads them into the networks."""

from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.weights.load import load_weights

__all__ = ['build_on_meta', 'load_weights']

"""Reading checkpoints safely and putting them into the networks."""

from modelscope_i2v.weights.load import build_on_meta, load_weights

__all__ = ['build_on_meta', 'load_weights']

"""Names and numbers that a call is described and checked with. They are here so that this needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Our names of the precisions that networks compute in -> PyTorch's.
PRECISIONS: Mapping[str, str] = MappingProxyType({'fp32': 'float32', 'fp16': 'float16', 'bf16': 'bfloat16'})
#: Names of memory levels; a limit such as '6GB' may stand in their place.
MEMORY_LEVELS = ('auto', 'ample', 'full', 'offload', 'low')
#: The back ends of attention.
BACKENDS = ('sdpa', 'xformers', 'math')
#: How many noise levels the networks were trained on.
NUM_TRAIN_TIMESTEPS = 1000

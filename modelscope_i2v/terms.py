"""Names and numbers that a call is described and checked with. They are here so that this needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Our names of the precisions that networks compute in -> PyTorch's.
PRECISIONS: Mapping[str, str] = MappingProxyType({'fp32': 'float32', 'fp16': 'float16', 'bf16': 'bfloat16'})
#: Our names of the types that only resting weights may have -> PyTorch's.
RESTING_PRECISIONS: Mapping[str, str] = MappingProxyType({'fp8': 'float8_e4m3fn'})
#: Names of memory levels; a limit such as '6GB' may stand in their place.
MEMORY_LEVELS = ('auto', 'ample', 'full', 'offload', 'low')
#: The back ends of attention.
BACKENDS = ('sdpa', 'xformers', 'math')
#: How many noise levels the networks were trained on.
NUM_TRAIN_TIMESTEPS = 1000

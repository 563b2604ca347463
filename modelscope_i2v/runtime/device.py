"""Which device a name means, and the precision it computes in."""

from __future__ import annotations

import logging
import numbers
import re
from typing import Any

import torch

from modelscope_i2v.checks import choice
from modelscope_i2v.errors import DeviceError, InputError, shown
from modelscope_i2v.terms import PRECISIONS, RESTING_PRECISIONS

logger = logging.getLogger(__name__)

NO_GPU = 'No CUDA GPU is available: running on the CPU, which is far slower.'
#: What torch calls the instructions for bfloat16 of Intel, AMD and ARM.
NATIVE_BF16 = ('avx512_bf16', 'amx_bf16', 'bf16')
DTYPES: dict[str, torch.dtype] = {name: getattr(torch, full) for name, full in PRECISIONS.items()}
RESTING_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, full) for name, full in RESTING_PRECISIONS.items()}


def resolve_device(name: str | int | torch.device | None, *, warn: bool = True) -> torch.device:
    """The device that ``name`` means: ``'cuda:N'`` (or N), ``'gpu'`` (or None), ``'cpu'`` or ``'mps'``.

    ModelScope does not distinguish ``'gpu'`` from no device at all, so both fall back to the CPU with a warning. A GPU
    requested by number must exist.

    Args:
        warn: whether to warn, with :data:`NO_GPU`, about falling back to the CPU; if not, the caller has to.

    Raises:
        DeviceError: if the device is not available or the name is unknown. The message lists the available devices.
    """
    if isinstance(name, torch.device) and name.type == 'cpu':
        return torch.device('cpu')
    if isinstance(name, torch.dtype):
        raise DeviceError(f"{name} is a dtype, not a device. Give it as 'dtype' when you load the model.")
    if isinstance(name, numbers.Integral) and not isinstance(name, bool):
        text = f'cuda:{shown(int(name))}'
    else:
        text = 'gpu' if name is None else str(name).lower() if isinstance(name, (str, torch.device)) else ''
    # No machine has more GPUs than five digits can count, and Python converts only a few thousand of them.
    match = re.fullmatch(r'(gpu|cuda)(?::([0-9]{1,5}))?|cpu|mps', text)
    if match is None:
        raise DeviceError(f"Unknown device {shown(name)}; use 'cuda:N', 'gpu', 'cpu' or 'mps'. {_available()}")
    if text == 'cpu':
        return torch.device('cpu')
    if text == 'mps':
        if not torch.backends.mps.is_available():
            raise DeviceError(f"Device 'mps' is not available. {_available()}")
        return torch.device('mps')
    index = match[2]
    if index is None and not torch.cuda.is_available():
        if warn:
            logger.warning(NO_GPU)
        return torch.device('cpu')
    if int(index or 0) >= _gpus():
        raise DeviceError(f"Device 'cuda:{index}' is not available. {_available()}")
    return torch.device('cuda', int(index or 0))


def resolve_dtype(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The compute dtype for ``'auto'``, ``'fp32'``, ``'fp16'`` or ``'bf16'``, or for the torch dtype of one of them.

    ``'auto'`` is float32 on the CPU and on MPS: a seed gives the same video on every CPU, with or without instructions
    for bfloat16. On CUDA it is bfloat16, which cannot overflow, for compute capability
    8.0 and higher, and float16 for lower ones.

    Raises:
        InputError: for an unknown name.
    """
    name = _dtype_name(name)
    if isinstance(name, str) and name in (*RESTING_DTYPES, *map(str, RESTING_DTYPES.values())):
        names = ', '.join(map(repr, ('auto', *DTYPES)))
        raise InputError(
            f"'dtype' must be one of {names}, found {name!r}. Only weights may rest in it: that is weights_dtype='fp8'."
        )
    choice('dtype', name, ('auto', *DTYPES), error=InputError)
    if name != 'auto':
        return DTYPES[name]
    if device.type != 'cuda':
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


def resolve_autoencoder_dtype(name: str | torch.dtype | None) -> torch.dtype:
    """The autoencoder's dtype for ``'fp32'`` (or None), ``'fp16'`` or ``'bf16'``, or for the torch dtype of one.

    It does not follow the device: float16 may overflow, and bfloat16 has fewer levels in [-1, 1] than a pixel has.

    Raises:
        InputError: for an unknown name.
    """
    name = 'fp32' if name is None else _dtype_name(name)
    choice('autoencoder_dtype', name, tuple(DTYPES), error=InputError)
    return DTYPES[name]


def resolve_weights_dtype(name: str | torch.dtype | None, device: torch.device) -> torch.dtype | None:
    """The type that weights rest in for ``'fp8'``, or for its torch dtype. None: the one that they compute in.

    Raises:
        InputError: for anything else.
        DeviceError: if PyTorch does not have the type on ``device``.
    """
    if name is None:
        return None
    found = name if isinstance(name, torch.dtype) else RESTING_DTYPES.get(name) if isinstance(name, str) else None
    if found not in RESTING_DTYPES.values():
        names = ', '.join(map(repr, RESTING_DTYPES))
        raise InputError(f"'weights_dtype' must be {names}, or None for weights as in 'dtype', found {shown(name)}.")
    if device.type == 'mps':
        raise DeviceError(f"weights_dtype='fp8' does not work on {device}: PyTorch lacks {found} there. Leave it out.")
    return found


def has_native_bf16(device: torch.device) -> bool:
    """Whether ``device`` is a CPU that says to torch that it has instructions for bfloat16."""
    # Not _is_mkldnn_bf16_supported(), which is true for every CPU that can emulate them. An older torch cannot tell.
    capabilities: dict[str, Any] = getattr(torch.cpu, 'get_capabilities', dict)()
    return device.type == 'cpu' and any(capabilities.get(name) for name in NATIVE_BF16)


def _dtype_name(name: str | torch.dtype) -> str:
    if isinstance(name, torch.dtype):
        return next((ours for ours, dtype in DTYPES.items() if dtype == name), str(name))
    return name


def _gpus() -> int:
    """The number of GPUs that torch can use. torch's own count includes those whose driver is too old for it."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _available() -> str:
    gpus = [f"'cuda:{index}' ({torch.cuda.get_device_name(index)})" for index in range(_gpus())]
    mps = ["'mps'"] if torch.backends.mps.is_available() else []
    unusable = torch.cuda.device_count() - len(gpus)
    why = f' The driver of {unusable} GPU(s) does not work with PyTorch {torch.__version__}.' if unusable else ''
    return f'Available here: {", ".join([*gpus, *mps, repr("cpu")])}.{why}'

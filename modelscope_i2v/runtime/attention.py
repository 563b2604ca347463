"""Choosing the attention back end for a device."""

from __future__ import annotations

import importlib.util

import torch

from modelscope_i2v.checks import choice
from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.networks.attention import attention
from modelscope_i2v.terms import BACKENDS
from modelscope_i2v.version import INSTALL


def resolve_attention(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """The back end for ``'auto'`` (xformers where it works, else torch's SDPA) or for an explicit choice.

    Raises:
        InputError: for an unknown name.
        DeviceError: if xformers was asked for but does not work on ``device`` with ``dtype``.
    """
    choice('attention', name, ('auto', *BACKENDS), error=InputError)
    if name not in ('auto', 'xformers'):
        return name
    problem = _xformers_problem(device, dtype)
    if problem is None:
        return 'xformers'
    if name == 'auto':
        return 'sdpa'
    raise DeviceError(
        f"attention='xformers' does not work on {device} with {dtype}: {problem} Use attention='auto' or 'sdpa'."
    )


def _xformers_problem(device: torch.device, dtype: torch.dtype) -> str | None:
    """None if xformers works on ``device``, else why not. Tried, not guessed: xformers lags behind torch."""
    if importlib.util.find_spec('xformers') is None:
        return f'it is not installed ({INSTALL.format(extra="xformers")}).'
    probe = torch.zeros(1, 1, 8, 64, device=device, dtype=dtype)
    try:
        attention(probe, probe, probe, 'xformers')
    except (ImportError, NotImplementedError, RuntimeError, AttributeError, OSError, ValueError) as error:
        return f'{str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}.'
    return None

"""Compiling a function with ``torch.compile``, which may be missing or fail: then the function runs as it is."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch._dynamo import config, exc

logger = logging.getLogger(__name__)

#: Compilations of one function at most. A UNet has far fewer kinds of blocks and shapes of inputs.
MAX_COMPILATIONS = 256
#: What torch raises before anything is computed: what it cannot compile, and one compilation too many.
FAILURES = (exc.TorchDynamoException, getattr(exc, 'FailOnRecompileLimitHit', exc.TorchDynamoException))
#: Older versions of torch know the limit as a setting only, the oldest ones by another name.
TAKES_LIMIT = 'recompile_limit' in inspect.signature(torch.compile).parameters
LIMIT_SETTING = 'recompile_limit' if hasattr(config, 'recompile_limit') else 'cache_size_limit'


class Compiled:
    """``function``, compiled once for every combination of shapes and modules that it is called with.

    Calls with the same shapes share a compilation, also if their modules have other weights. If a compilation fails, a
    warning says so once, and from then on all calls run without.

    Args:
        backend: the name of a compiler back end of torch, or one.
    """

    def __init__(self, function: Callable[..., Any], backend: Any = 'inductor') -> None:
        self.function = function
        self._compiled: Callable[..., Any] | None = None
        limit: dict[str, Any] = {'recompile_limit': MAX_COMPILATIONS} if TAKES_LIMIT else {}
        try:
            # The whole function or nothing: half of it would already have changed its arguments when the rest fails.
            self._compiled = torch.compile(function, fullgraph=True, dynamic=False, backend=backend, **limit)
        except RuntimeError as error:  # a Python that it cannot compile
            self._fall_back(error)

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is not None:
            try:
                with _room_for_compilations():
                    return self._compiled(*arguments)
            except FAILURES as error:
                self._fall_back(error)
        return self.function(*arguments)

    def _fall_back(self, error: Exception) -> None:
        self._compiled = None
        reason = ' '.join(str(error).strip().splitlines()[:2]) or type(error).__name__
        logger.warning('Compiling failed, so the network runs without: %s', reason)


def _room_for_compilations() -> AbstractContextManager[Any]:
    return nullcontext() if TAKES_LIMIT else config.patch({LIMIT_SETTING: MAX_COMPILATIONS})

"""Compiling a function with ``torch.compile``, which may be missing or fail: then the function runs as it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException

logger = logging.getLogger(__name__)

#: Compilations of one function at most. A UNet has far fewer kinds of blocks and shapes of inputs.
MAX_COMPILATIONS = 256


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
        limit: dict[str, Any] = {'recompile_limit': MAX_COMPILATIONS}
        try:
            # The whole function or nothing: half of it would already have changed its arguments when the rest fails.
            self._compiled = torch.compile(function, fullgraph=True, dynamic=False, backend=backend, **limit)
        except (TypeError, RuntimeError) as error:  # an older torch, or a Python that it cannot compile
            self._fall_back(error)

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is not None:
            try:
                return self._compiled(*arguments)
            except TorchDynamoException as error:
                self._fall_back(error)
        return self.function(*arguments)

    def _fall_back(self, error: Exception) -> None:
        self._compiled = None
        reason = ' '.join(str(error).strip().splitlines()[:2]) or type(error).__name__
        logger.warning('Compiling failed, so the network runs without: %s', reason)

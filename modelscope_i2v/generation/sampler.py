"""A sampler as a stage offers it: the function's place, and everything that a call needs to know about it.

The functions are named, not imported: a call is described and checked without PyTorch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from modelscope_i2v.errors import ConfigurationError, shown

if TYPE_CHECKING:
    import torch

    from modelscope_i2v.diffusion.denoiser import Denoiser
    from modelscope_i2v.diffusion.samplers.steps import Callback, Sigmas

_PLACE = re.compile(r'\w+(\.\w+)*:\w+')


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """One entry of a stage's table of solvers.

    Attributes:
        sample: the function ``(denoiser, x, sigmas, *, callback, ...) -> x``, as ``module:name``.
        steps: the number of steps, unless a call sets another.
        noise: what makes the ``noise`` that the function takes, a function like those of ``generation/noise.py``, as
            ``module:name``; None if it takes none.
        takes: further arguments of a call that the function takes.
        leading_from: with this many steps or more, timesteps are spaced "leading" by default; None: always "trailing".
        drop_penultimate: whether the second-to-last timestep is left out, which makes the final step a long one.

    Raises:
        ConfigurationError: if the place of a function is not of the form ``module:name``.
    """

    sample: str
    steps: int
    noise: str | None = None
    takes: tuple[str, ...] = ()
    leading_from: int | None = None
    drop_penultimate: bool = False

    def __post_init__(self) -> None:
        places = {'sample': self.sample, 'noise': self.noise}
        if self.noise is None:
            del places['noise']
        for key, place in places.items():
            if not isinstance(place, str) or not _PLACE.fullmatch(place):
                raise ConfigurationError(f"'{key}' must be the place of a function, module:name, found {shown(place)}.")

    def default_spacing(self, steps: int) -> str:
        """``'leading'`` or ``'trailing'``, for this number of steps."""
        return 'leading' if self.leading_from is not None and steps >= self.leading_from else 'trailing'

    def run(
        self,
        denoiser: Denoiser,
        x: torch.Tensor,
        sigmas: Sigmas,
        *,
        arguments: Any,
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> torch.Tensor:
        """Sample from ``x`` ``[B, C, F, h, w]`` at ``sigmas[0]`` down to ``sigmas[-1]``.

        Args:
            arguments: the arguments of the call.
            generator: the source of all further draws.
        """
        options = {name: getattr(arguments, name) for name in self.takes}
        if self.noise is not None:
            options['noise'] = resolve_name(self.noise)(x.shape, sigmas, generator, x.device)
        sampled: torch.Tensor = resolve_name(self.sample)(denoiser, x, sigmas, callback=callback, **options)
        return sampled

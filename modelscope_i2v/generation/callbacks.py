"""Connects the sampler to the user's ``callback_on_step_end``: scales, timesteps, and checks of what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from modelscope_i2v.diffusion import NoiseSchedule
from modelscope_i2v.diffusion.samplers.steps import Callback
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.generation.finite import FIRST_STEP, SAMPLING, NotFiniteError
from modelscope_i2v.tensors import check_floats


def after_step(pipeline: Any, arguments: GenerationArguments, schedule: NoiseSchedule, bar: Any) -> Callback:
    """What a sampler calls after each step: it advances ``bar`` and lets the user see or replace the latents.

    The user sees latents in the scale that the network works on, and the network's timesteps.

    Raises (when called):
        NotFiniteError: if a step produced NaN or infinity, before the user sees it.
        InputError: if the user's callback returns anything but finite latents of the same shape.
    """

    def call(index: int, sigma: float, sigma_next: float, x: torch.Tensor) -> torch.Tensor | None:
        bar.update()
        pipeline.model.check_finite(x, FIRST_STEP if index == 0 else SAMPLING)
        if arguments.callback_on_step_end is None:
            return None
        scale = signal_scale(sigma_next).float().to(x.device)
        try:
            answer = arguments.callback_on_step_end(pipeline, index, schedule.timestep(sigma), {'latents': x * scale})
        except NotFiniteError as error:
            error.repeat = None  # it is about something that the callback computed, not about this step
            raise
        if answer is not None and not isinstance(answer, Mapping):
            raise InputError(f"'callback_on_step_end' must return a dict or None, found {type(answer).__name__}.")
        replaced = (answer or {}).get('latents')
        if replaced is None:
            return None
        if isinstance(replaced, torch.Tensor):
            check_floats("The latents from 'callback_on_step_end'", replaced, InputError)
            replaced = replaced.to(x) / scale  # too large values become infinite
        if not isinstance(replaced, torch.Tensor) or replaced.shape != x.shape or not replaced.isfinite().all():
            raise InputError(f"'callback_on_step_end' must return finite latents of shape {list(x.shape)}.")
        return replaced

    return call

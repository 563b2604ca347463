"""The arguments of one generation as frozen dataclasses: their names, meanings, defaults and limits in one place.

The pipelines check calls with them, and the command line derives its options from them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from modelscope_i2v.checks import choice, integer, number, text
from modelscope_i2v.errors import InputError, nearest
from modelscope_i2v.generation.configuration import (
    IMAGE_TO_VIDEO_STEPS,
    MAX_FRAMES,
    MAX_SEED,
    VIDEO_TO_VIDEO_STEPS,
)
from modelscope_i2v.media.limits import MAX_FPS, MAX_SIDE, MIN_FPS
from modelscope_i2v.video_to_video.prompts import NEGATIVE_PROMPT

OUTPUT_TYPES = ('mp4', 'np', 'pt', 'pil', 'latent')
#: Below this many steps "leading" spacing would start far from pure noise.
FEW_STEPS = 10
#: Argument -> the one that it decides. Given later than that one, it wins over it; given together, it does not.
DECIDES = {'solver_mode': 'solver'}

Arguments = TypeVar('Arguments', bound='GenerationArguments')


def option(default: Any, help: str, *, cli: type | None = None, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field; ``cli`` is the type that the command line parses it with (None: not an option there)."""
    return field(default=default, metadata={'help': help, 'cli': cli, 'choices': choices})


@dataclass(frozen=True, kw_only=True)
class GenerationArguments:
    """What both stages' calls take. None means "decide from the others or from the configuration".

    Raises:
        InputError: naming the argument, what was found and what is allowed.
    """

    output_video: str | os.PathLike[str] | None = option(None, 'path of the video to write')
    output_type: str = option('mp4', 'what to return: mp4 bytes, np, pt, pil or latent')
    seed: int | None = option(None, 'same seed, same video (default: the configured one, else random)', cli=int)
    steps: int | None = option(None, 'solver steps, exactly this many', cli=int)
    solver: str | None = option(None, 'sampler', cli=str)
    timestep_spacing: str | None = option(
        None, 'which timesteps the solver visits', cli=str, choices=('leading', 'trailing')
    )
    guidance_scale: float = option(1.0, 'classifier-free guidance; 1 skips the unconditional pass', cli=float)
    guidance_rescale: float = option(0.0, 'pull the contrast of guided predictions back, 0..1', cli=float)
    guidance_min_timestep: int = option(0, 'no guidance at timesteps below this one of 0..999: faster', cli=int)
    num_frames: int | None = option(None, 'frames of the video', cli=int)
    height: int | None = option(None, 'height in pixels', cli=int)
    width: int | None = option(None, 'width in pixels', cli=int)
    fit: str = option('crop', 'how the input is made to fit', cli=str)
    output_fps: float | None = option(None, 'frame rate of the written file', cli=float)
    latents: torch.Tensor | None = option(None, 'latents to start from, float32 [1, 4, F, h, w]')
    callback_on_step_end: Callable[..., Any] | None = option(None, 'called after every step')
    show_progress: bool = option(True, 'show progress bars')

    def __post_init__(self) -> None:
        if self.output_video is not None and not isinstance(self.output_video, (str, os.PathLike)):
            raise InputError(f"'output_video' must be a path or None, found {type(self.output_video).__name__}.")
        choice('output_type', self.output_type, OUTPUT_TYPES, error=InputError)
        if self.output_video is not None and self.output_type != 'mp4':
            raise InputError(
                f"'output_video' is written for output_type='mp4' only, found output_type={self.output_type!r}. "
                'Leave one of the two out.'
            )
        for name, low, high in (('seed', 0, MAX_SEED), ('steps', 1, 1000), ('num_frames', 1, MAX_FRAMES)):
            if getattr(self, name) is not None:
                self.put(name, integer(name, getattr(self, name), low, high, error=InputError))
        self.put('guidance_scale', number('guidance_scale', self.guidance_scale, 0, 1000, error=InputError))
        self.put('guidance_rescale', number('guidance_rescale', self.guidance_rescale, 0, 1, error=InputError))
        self.put(
            'guidance_min_timestep',
            integer('guidance_min_timestep', self.guidance_min_timestep, 0, 1000, error=InputError),
        )
        if self.timestep_spacing is not None:
            choice('timestep_spacing', self.timestep_spacing, ('leading', 'trailing'), error=InputError)
        for name in ('height', 'width'):
            if getattr(self, name) is not None:
                self.put(name, integer(name, getattr(self, name), 1, MAX_SIDE, error=InputError))
        if self.output_fps is not None:
            self.put('output_fps', number('output_fps', self.output_fps, MIN_FPS, MAX_FPS, error=InputError))
        if self.callback_on_step_end is not None and not callable(self.callback_on_step_end):
            raise InputError(f"'callback_on_step_end' must be callable, found {self.callback_on_step_end!r}.")
        if self.latents is not None:
            self.put('latents', _checked_latents(self.latents))
        if not isinstance(self.show_progress, bool):
            raise InputError(f"'show_progress' must be True or False, found {self.show_progress!r}.")

    def put(self, name: str, value: Any) -> None:
        """Set a field of this frozen object; only ``__post_init__`` calls this, to store checked plain values."""
        object.__setattr__(self, name, value)

    def resolve(self, name: str, value: Any) -> None:
        """Fill in an argument that was left to be decided; only ``__post_init__`` calls this."""
        if getattr(self, name) is None:
            self.put(name, value)


@dataclass(frozen=True, kw_only=True)
class ImageToVideoArguments(GenerationArguments):
    """The arguments of stage 1."""

    solver: str | None = option('ddim', 'sampler', cli=str, choices=tuple(IMAGE_TO_VIDEO_STEPS))
    guidance_scale: float = option(3.0, 'classifier-free guidance; 1 skips the unconditional pass', cli=float)
    num_frames: int | None = option(32, 'frames of the video', cli=int)
    height: int | None = option(256, 'height in pixels', cli=int)
    width: int | None = option(448, 'width in pixels', cli=int)
    fit: str = option(
        'crop',
        "'crop' shows the network the central square, 'contain' the whole picture",
        choices=('crop', 'contain'),
        cli=str,
    )
    eta: float = option(0.0, 'stochasticity of ddim, 0..1', cli=float)
    fps: float = option(8, 'frames per second that the network is conditioned on', cli=float)
    noise_strength: float = option(0.1, 'strength of the noise that all pixels of a frame share', cli=float)

    def __post_init__(self) -> None:
        choice('solver', self.solver, IMAGE_TO_VIDEO_STEPS, error=InputError)
        choice('fit', self.fit, ('crop', 'contain'), error=InputError)
        self.put('eta', number('eta', self.eta, 0, 1, error=InputError))
        self.put('fps', number('fps', self.fps, MIN_FPS, MAX_FPS, error=InputError))
        self.put('noise_strength', number('noise_strength', self.noise_strength, 0, 100, error=InputError))
        if self.eta > 0 and self.solver != 'ddim':
            raise InputError(f"'eta' is the stochasticity of solver='ddim', found solver={self.solver!r}; leave it 0.")
        super().__post_init__()
        self.resolve('steps', IMAGE_TO_VIDEO_STEPS[str(self.solver)])
        leading = self.solver == 'ddim' and self.steps is not None and self.steps >= FEW_STEPS
        self.resolve('timestep_spacing', 'leading' if leading else 'trailing')
        self.resolve('output_fps', self.fps)


@dataclass(frozen=True, kw_only=True)
class VideoToVideoArguments(GenerationArguments):
    """The arguments of stage 2. ``num_frames``, ``height``, ``width`` and ``output_fps`` follow the input if None."""

    text: str = option('', 'what the video shows', cli=str)
    negative_prompt: str = option(NEGATIVE_PROMPT, 'what guidance leads away from', cli=str)
    noise_level: int = option(600, 'how much of the input is noised away, 1..999; lower keeps more', cli=int)
    solver_mode: str = option('normal', "'fast' is a quicker default solver", cli=str, choices=('fast', 'normal'))
    solver: str | None = option(None, 'sampler', cli=str, choices=tuple(VIDEO_TO_VIDEO_STEPS))
    guidance_scale: float = option(7.5, 'classifier-free guidance; 1 skips the unconditional pass', cli=float)
    guidance_rescale: float = option(0.2, 'pull the contrast of guided predictions back, 0..1', cli=float)
    fit: str = option(
        'keep', "'keep' keeps the aspect, 'stretch' fills the configured size", cli=str, choices=('keep', 'stretch')
    )
    window_overlap: int | None = option(None, 'frames that neighbouring temporal windows share (default: 8)', cli=int)

    def __post_init__(self) -> None:
        text('text', self.text, error=InputError)
        text('negative_prompt', self.negative_prompt, error=InputError)
        choice('solver_mode', self.solver_mode, ('fast', 'normal'), error=InputError)
        self.resolve('solver', 'dpmpp_2m_sde' if self.solver_mode == 'fast' else 'heun')
        choice('solver', self.solver, VIDEO_TO_VIDEO_STEPS, error=InputError)
        choice('fit', self.fit, ('keep', 'stretch'), error=InputError)
        self.put('noise_level', integer('noise_level', self.noise_level, 1, 999, error=InputError))
        if self.window_overlap is not None:
            self.put('window_overlap', integer('window_overlap', self.window_overlap, 0, MAX_FRAMES, error=InputError))
        super().__post_init__()
        if self.timestep_spacing == 'leading':
            raise InputError("'timestep_spacing' must be 'trailing' for video-to-video, found 'leading'.")
        self.resolve('timestep_spacing', 'trailing')
        self.resolve('steps', min(VIDEO_TO_VIDEO_STEPS[str(self.solver)], self.noise_level))
        if int(self.steps or 0) > self.noise_level:
            raise InputError(
                f"'steps' ({self.steps}) must not exceed 'noise_level' ({self.noise_level}): there are no more levels "
                'to visit. Lower steps or raise noise_level.'
            )


def merge_arguments(kind: type[Arguments], *sources: Mapping[str, Any]) -> Arguments:
    """Arguments from ``sources``, the later ones winning; None in a source means "not given".

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        InputError: for a value that is not allowed.
    """
    known = {item.name for item in dataclasses.fields(kind)}
    merged: dict[str, Any] = {}
    for source in sources:
        for name, decided in DECIDES.items():
            if source.get(name) is not None:
                merged.pop(decided, None)
        for name, value in source.items():
            if name not in known:
                raise TypeError(f"Unknown argument '{name}'.{nearest(name, known)} Known: {', '.join(sorted(known))}.")
            if value is not None:
                merged[name] = value
    return kind(**merged)


def _checked_latents(latents: Any) -> torch.Tensor:
    if not isinstance(latents, torch.Tensor) or not latents.is_floating_point() or latents.ndim != 5:
        found = list(latents.shape) if isinstance(latents, torch.Tensor) else type(latents).__name__
        raise InputError(f"'latents' must be a float tensor [1, 4, F, h, w], found {found}.")
    if not torch.isfinite(latents).all():
        raise InputError("'latents' holds NaN or infinite values.")
    return latents.detach().to('cpu', torch.float32)

"""The arguments of a call of stage 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

from modelscope_i2v.checks import choice, number
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import FROM_MODEL, GenerationArguments, option
from modelscope_i2v.image_to_video.samplers import PRESETS, SAMPLERS
from modelscope_i2v.media.limits import MAX_FPS, MIN_FPS
from modelscope_i2v.terms import NUM_TRAIN_TIMESTEPS

FITS = ('crop', 'contain', 'keep')


@dataclass(frozen=True, kw_only=True)
class PictureArguments(GenerationArguments):
    """The arguments of both generations of image-to-video, with the defaults of the first.

    With ``fit='keep'``, the video has about the picture's aspect ratio and the area of the model's size. With
    ``height`` or ``width``, the other side follows the picture; with both, the picture is cropped to them. Sides that
    only the model sets do not count as given: they become None.
    """

    solver: str | None = option(
        None, 'sampling method', cli=str, choices=tuple(SAMPLERS), default_text=f'{FROM_MODEL}, else ddim'
    )
    guidance_scale: float = option(
        3.0, 'strength of classifier-free guidance; 1 skips the unconditional pass', cli=float, default_text=FROM_MODEL
    )
    num_frames: int | None = option(32, 'number of frames', cli=int, default_text=FROM_MODEL)
    height: int | None = option(256, 'height in pixels', cli=int, default_text=FROM_MODEL)
    width: int | None = option(448, 'width in pixels', cli=int, default_text=FROM_MODEL)
    fit: str = option(
        'crop',
        "'crop' shows the network the central square, 'contain' the whole picture; 'keep' is 'crop' with the picture's "
        'aspect ratio for the video',
        choices=FITS,
        cli=str,
    )
    eta: float = option(0.0, 'stochasticity of ddim, 0..1', cli=float)
    fps: float = option(8, 'frames per second that the network is conditioned on', cli=float, default_text=FROM_MODEL)
    noise_strength: float = option(0.1, 'strength of the noise shared by all pixels of a frame', cli=float)

    samplers = SAMPLERS
    presets = PRESETS
    frees = MappingProxyType({'fit': {'keep': ('height', 'width')}})

    def __post_init__(self) -> None:
        self.resolve_speed()
        self.resolve('solver', 'ddim')
        choice('solver', self.solver, SAMPLERS, error=InputError)
        choice('fit', self.fit, FITS, error=InputError)
        self.put('eta', number('eta', self.eta, 0, 1, error=InputError))
        self.put('fps', number('fps', self.fps, MIN_FPS, MAX_FPS, error=InputError))
        self.put('noise_strength', number('noise_strength', self.noise_strength, 0, 100, error=InputError))
        if self.eta > 0 and 'eta' not in self.sampler.takes:
            stochastic = ' or '.join(f'solver={name!r}' for name, sampler in SAMPLERS.items() if 'eta' in sampler.takes)
            raise InputError(
                f"'eta' has an effect only with {stochastic}, found solver={self.solver!r}; leave it at 0."
            )
        super().__post_init__()
        self.resolve('steps', self.sampler.steps)
        self.resolve('timestep_spacing', self.sampler.default_spacing(self.steps_taken))
        self.resolve('output_fps', self.fps)

    @property
    def levels_used(self) -> int:
        """How many of the 1000 noise levels sampling visits, counted from the least noisy one."""
        return NUM_TRAIN_TIMESTEPS

    @property
    def steps_taken(self) -> int:
        """The number of solver steps: ``steps``, or their share of the noise levels that are visited, rounded up."""
        steps, levels = int(self.steps or 0), self.levels_used
        if levels == NUM_TRAIN_TIMESTEPS:
            return steps
        return min(math.ceil(steps * levels / NUM_TRAIN_TIMESTEPS), levels - 1)  # "leading" needs one level more


@dataclass(frozen=True, kw_only=True)
class ImageToVideoArguments(PictureArguments):
    """The arguments of stage 1."""

    image_strength: float = option(
        0.0,
        'how much of the picture the video keeps, 0..1; the more it keeps, the less it moves and the fewer steps it '
        'takes',
        cli=float,
    )

    def __post_init__(self) -> None:
        self.put('image_strength', number('image_strength', self.image_strength, 0, 1, error=InputError))
        super().__post_init__()
        if self.image_strength > 0 and self.latents is not None:
            raise InputError(
                "'image_strength' has no effect on given 'latents', which are used as they are. Leave one of "
                'them out, or give image_strength=0.'
            )

    @property
    def levels_used(self) -> int:
        """All of the noise levels, less the share that ``image_strength`` spares; at least two."""
        return max(2, round((1 - self.image_strength) * NUM_TRAIN_TIMESTEPS))

"""The arguments of a call of stage 2."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from modelscope_i2v.checks import choice, integer, text
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import FROM_MODEL, GenerationArguments, option
from modelscope_i2v.media.limits import MAX_FRAMES
from modelscope_i2v.terms import NUM_TRAIN_TIMESTEPS
from modelscope_i2v.video_to_video.prompts import NEGATIVE_PROMPT
from modelscope_i2v.video_to_video.samplers import PRESETS, SAMPLERS, SOLVER_OF_MODE

FITS = ('keep', 'stretch')
SPACINGS = ('trailing', 'karras')
BY_INPUT = "from the input's aspect ratio"


@dataclass(frozen=True, kw_only=True)
class VideoToVideoArguments(GenerationArguments):
    """The arguments of stage 2. ``num_frames``, ``height``, ``width`` and ``output_fps`` follow the input if None."""

    text: str = option('', 'what the video shows', cli=str, default_text='none')
    negative_prompt: str = option(
        NEGATIVE_PROMPT, 'what guidance steers away from', cli=str, default_text=f'{FROM_MODEL}, a list of flaws'
    )
    noise_level: int = option(
        600,
        'how much noise is added to the input, 1..999; less noise keeps more of the input',
        cli=int,
        default_text=FROM_MODEL,
    )
    solver_mode: str = option(
        'normal',
        "'fast' selects a quicker default solver",
        cli=str,
        choices=tuple(SOLVER_OF_MODE),
        default_text=FROM_MODEL,
    )
    solver: str | None = option(
        None,
        'sampling method',
        cli=str,
        choices=tuple(SAMPLERS),
        default_text=f'{FROM_MODEL}, else set by --solver-mode',
    )
    timestep_spacing: str | None = option(
        None, 'which timesteps the solver visits', cli=str, choices=SPACINGS, default_text='trailing'
    )
    guidance_scale: float = option(
        7.5, 'strength of classifier-free guidance; 1 skips the unconditional pass', cli=float, default_text=FROM_MODEL
    )
    guidance_rescale: float = option(
        0.2, 'how strongly to reduce the contrast that guidance adds, 0..1', cli=float, default_text=FROM_MODEL
    )
    num_frames: int | None = option(None, 'use only this many frames from the start', cli=int, default_text='all')
    height: int | None = option(None, 'height in pixels', cli=int, default_text=BY_INPUT)
    width: int | None = option(None, 'width in pixels', cli=int, default_text=BY_INPUT)
    fit: str = option(
        'keep', "'keep' keeps the aspect ratio, 'stretch' fills the configured size", cli=str, choices=FITS
    )
    output_fps: float | None = option(None, 'frame rate of the written file', cli=float, default_text="the input's")
    sound_track: int | None = option(
        None, 'which sound track to keep, counted from 0', cli=int, default_text='the first that can be kept'
    )
    window_overlap: int | None = option(
        None, 'number of frames that neighbouring temporal windows share', cli=int, default_text='8'
    )

    samplers = SAMPLERS
    most_permissive = MappingProxyType({'noise_level': NUM_TRAIN_TIMESTEPS - 1})
    decides = MappingProxyType({'solver_mode': ('solver', SOLVER_OF_MODE)})
    presets = PRESETS

    def __post_init__(self) -> None:
        text('text', self.text, error=InputError)
        text('negative_prompt', self.negative_prompt, error=InputError)
        choice('solver_mode', self.solver_mode, SOLVER_OF_MODE, error=InputError)
        self.put('noise_level', integer('noise_level', self.noise_level, 1, 999, error=InputError))
        self.resolve_speed()
        self.resolve('solver', SOLVER_OF_MODE[self.solver_mode])
        choice('solver', self.solver, SAMPLERS, error=InputError)
        choice('fit', self.fit, FITS, error=InputError)
        if self.window_overlap is not None:
            self.put('window_overlap', integer('window_overlap', self.window_overlap, 0, MAX_FRAMES, error=InputError))
        if self.sound_track is not None:
            self.put('sound_track', integer('sound_track', self.sound_track, 0, error=InputError))
        super().__post_init__()
        self.resolve('timestep_spacing', 'trailing')
        choice('timestep_spacing', self.timestep_spacing, SPACINGS, error=InputError)
        self.resolve('steps', min(self.sampler.steps, self.noise_level))
        if int(self.steps or 0) > self.noise_level:
            raise InputError(
                f"'steps' ({self.steps}) must not exceed 'noise_level' ({self.noise_level}): there are no more levels "
                'to visit. Lower steps or raise noise_level.'
            )

    def resolve_speed(self) -> None:
        """As for every stage, but with no more steps than there are noise levels."""
        steps = self.presets.get(self.speed, {}).get('steps') if isinstance(self.speed, str) else None
        if steps is not None:
            self.resolve('steps', min(steps, self.noise_level))
        super().resolve_speed()

"""The arguments of one generation as a frozen dataclass: names, meanings, defaults and limits in one place.

The pipelines check calls with it and show it as their signature, and the command line derives its options from it. To
add an argument that every stage takes, add a field here. An argument of a single stage belongs in that stage's folder.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from modelscope_i2v.checks import MAX_SEED, choice, integer, number
from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.generation.argument_names import unknown_argument
from modelscope_i2v.generation.sampler import Sampler
from modelscope_i2v.media.background import checked_background
from modelscope_i2v.media.limits import MAX_FPS, MAX_FRAMES, MAX_SIDE, MIN_FPS

if TYPE_CHECKING:
    import torch

OUTPUT_TYPES = ('mp4', 'np', 'pt', 'pil', 'latent')
SPACINGS = ('leading', 'trailing', 'karras')
SPEEDS = ('exact', 'balanced', 'fast')
#: How an option's help describes a default that the model sets.
FROM_MODEL = "the model's"

Arguments = TypeVar('Arguments', bound='GenerationArguments')


def option(
    default: Any,
    help: str,
    *,
    cli: type | None = None,
    choices: tuple[str, ...] | None = None,
    default_text: str | None = None,
    metavar: str | None = None,
    takes_none: bool = False,
) -> Any:
    """A dataclass field.

    Args:
        cli: the type that the command line parses it as, bool for a flag; None: it is not an option there.
        default_text: how the help describes the default; None: as the value itself.
        metavar: what stands for the value in the help of the command line; None: the type.
        takes_none: whether None is a value like any other. Otherwise a call that gives None leaves the argument open.
    """
    shown = str(default) if default_text is None else default_text
    if default_text == FROM_MODEL and default is not None:
        shown = f'{FROM_MODEL}, else {default}'
    return field(
        default=default,
        metadata={
            'help': help,
            'cli': cli,
            'choices': choices,
            'default': shown,
            'metavar': metavar,
            'takes_none': takes_none,
        },
    )


@dataclass(frozen=True, kw_only=True)
class GenerationArguments:
    """The arguments that calls of every stage take.

    None means "decide from the others or from the configuration", except for those that are marked as taking it.

    Raises:
        InputError: naming the argument, what was found and what is allowed.
    """

    output_video: str | os.PathLike[str] | Sequence[str | os.PathLike[str] | None] | None = option(
        None, 'path of the video to write; for a list of inputs, a list of paths'
    )
    output_type: str = option(
        'mp4', "what to return: 'mp4' (the path, or bytes without output_video), 'np', 'pt', 'pil' or 'latent'"
    )
    seed: int | Sequence[int | None] | None = option(
        None, 'random seed; the same seed gives the same video', cli=int, default_text=f'{FROM_MODEL}, else random'
    )
    speed: str = option(
        'exact',
        "'balanced' and 'fast' set solver, steps and timestep_spacing, for fewer steps than the model's; other videos",
        cli=str,
        choices=SPEEDS,
    )
    steps: int | None = option(
        None, 'exact number of solver steps', cli=int, default_text=f"{FROM_MODEL}, else the solver's"
    )
    solver: str | None = option(None, 'sampling method', cli=str, default_text=FROM_MODEL)
    timestep_spacing: str | None = option(
        None,
        'which timesteps the solver visits',
        cli=str,
        choices=SPACINGS,
        default_text=f"{FROM_MODEL}, else the solver's",
    )
    guidance_scale: float = option(
        1.0, 'strength of classifier-free guidance; 1 skips the unconditional pass', cli=float, default_text=FROM_MODEL
    )
    guidance_rescale: float = option(
        0.0, 'how strongly to reduce the contrast that guidance adds, 0..1', cli=float, default_text=FROM_MODEL
    )
    guidance_min_timestep: int = option(
        0, 'skip guidance at timesteps (0..999) below this one, which is faster', cli=int, default_text=FROM_MODEL
    )
    guidance_max_timestep: int = option(
        999, 'skip guidance at timesteps (0..999) above this one, which is faster', cli=int
    )
    cache_interval: int = option(
        1, 'compute the inner blocks of the network in one of this many steps only; above 1, the video changes', cli=int
    )
    num_frames: int | None = option(None, 'number of frames', cli=int, default_text=FROM_MODEL)
    height: int | None = option(None, 'height in pixels', cli=int, default_text=FROM_MODEL)
    width: int | None = option(None, 'width in pixels', cli=int, default_text=FROM_MODEL)
    fit: str = option('crop', 'how the input is fitted to the size', cli=str)
    background: str | Sequence[int] | None = option(
        'white',
        "colour behind transparent parts, such as 'white' or '#20a040'; none shows the colours hidden there",
        cli=str,
        metavar='COLOUR',
        takes_none=True,
    )
    output_fps: float | None = option(None, 'frame rate of the written file', cli=float, default_text='same as --fps')
    latents: torch.Tensor | None = option(
        None, 'latents to start from, float32 [1, 4, frames, latent height, latent width]'
    )
    callback_on_step_end: Callable[..., Any] | None = option(None, 'called after every step')
    show_progress: bool = option(True, 'show progress')
    force: bool = option(False, 'run even if the estimated memory is more than the device has free', cli=bool)

    #: The stage's solvers by name.
    samplers: ClassVar[Mapping[str, Sampler]]
    #: What each ``speed`` sets, where the user does not.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: Arguments that limit others and whose default the model sets -> the value that allows most.
    most_permissive: ClassVar[Mapping[str, Any]] = {}
    #: Argument -> the argument that it decides, and the value by its own. It overrides one from an earlier source, not
    #: one from the same.
    decides: ClassVar[Mapping[str, tuple[str, Mapping[str, Any]]]] = {}
    #: Argument -> its values that free others -> those others: they become None where only the model sets them.
    frees: ClassVar[Mapping[str, Mapping[str, tuple[str, ...]]]] = {}
    #: Other names of arguments -> our names.
    aliases: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        self.resolve_speed()
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
        self.put(
            'guidance_max_timestep',
            integer('guidance_max_timestep', self.guidance_max_timestep, 0, 999, error=InputError),
        )
        self.put('cache_interval', integer('cache_interval', self.cache_interval, 1, 1000, error=InputError))
        if self.guidance_min_timestep > self.guidance_max_timestep and self.guidance_max_timestep < 999:
            raise InputError(
                f"'guidance_min_timestep' ({self.guidance_min_timestep}) must not exceed 'guidance_max_timestep' "
                f'({self.guidance_max_timestep}): there would be no guidance. Use guidance_scale=1 for none.'
            )
        if self.timestep_spacing is not None:
            choice('timestep_spacing', self.timestep_spacing, SPACINGS, error=InputError)
        for name in ('height', 'width'):
            if getattr(self, name) is not None:
                self.put(name, integer(name, getattr(self, name), 1, MAX_SIDE, error=InputError))
        colour = checked_background(self.background)
        self.put('background', self.background if isinstance(self.background, str) and colour else colour)
        if self.output_fps is not None:
            self.put('output_fps', number('output_fps', self.output_fps, MIN_FPS, MAX_FPS, error=InputError))
        if self.callback_on_step_end is not None and not callable(self.callback_on_step_end):
            raise InputError(f"'callback_on_step_end' must be callable, found {shown(self.callback_on_step_end)}.")
        if self.latents is not None:
            from modelscope_i2v.generation.given_latents import checked_latents  # needs PyTorch, as few calls do

            self.put('latents', checked_latents(self.latents))
        for name in ('show_progress', 'force'):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"'{name}' must be True or False, found {shown(getattr(self, name))}.")

    @property
    def sampler(self) -> Sampler:
        """The sampler that :attr:`solver` names."""
        return self.samplers[str(self.solver)]

    @property
    def output_path(self) -> str | os.PathLike[str] | None:
        """:attr:`output_video` as one path, which it is after the checks."""
        return cast('str | os.PathLike[str] | None', self.output_video)

    def generator(self) -> torch.Generator:
        """The only source of random draws in a generation. It is on the CPU, whatever the device."""
        import torch

        return torch.Generator().manual_seed(cast(int, self.seed or 0))

    def resolve_speed(self) -> None:
        """Fill in what :attr:`speed` sets; a ``__post_init__`` calls this before it fills in anything else."""
        choice('speed', self.speed, SPEEDS, error=InputError)
        for name, value in self.presets.get(self.speed, {}).items():
            self.resolve(name, value)

    def put(self, name: str, value: Any) -> None:
        """Set a field of this frozen object; only ``__post_init__`` calls this, to store checked plain values."""
        object.__setattr__(self, name, value)

    def resolve(self, name: str, value: Any) -> None:
        """Fill in an argument that was left open; only ``__post_init__`` calls this."""
        if getattr(self, name) is None:
            self.put(name, value)


def take_none(kind: type[GenerationArguments]) -> frozenset[str]:
    """The arguments for which None is a value like any other."""
    return frozenset(item.name for item in dataclasses.fields(kind) if item.metadata.get('takes_none'))


def merge_arguments(kind: type[Arguments], *sources: Mapping[str, Any]) -> Arguments:
    """Arguments from ``sources``; later ones win. None means "not given", but for those of :func:`take_none`.

    The first source is the model's, the others are the user's.

    Raises:
        TypeError: for an unknown argument, naming it and the nearest known one.
        InputError: for a value that is not allowed.
    """
    known = {item.name for item in dataclasses.fields(kind)}
    with_none = take_none(kind)
    sources = tuple(own_names(kind, values) for values in sources)
    chosen_by = [index for index, source in enumerate(sources) if source.get('speed') is not None]
    merged: dict[str, Any] = {}
    given: set[str] = set()  # by the user
    for index, given_here in enumerate(sources):
        source: Mapping[str, Any] = given_here
        if source.get('speed') is not None and index == chosen_by[-1]:
            source = _with_speed(kind, merged, source)
        for name, (decided, by_value) in kind.decides.items():
            if isinstance(source.get(name), str):
                merged[decided] = by_value.get(source[name])
        for name, value in source.items():
            if name not in known:
                raise unknown_argument(name, known)
            if value is not None or name in with_none:
                merged[name] = value
                if index:
                    given.add(name)
    for name, values in kind.frees.items():
        chosen = merged.get(name)
        freed = values.get(chosen, ()) if isinstance(chosen, str) else ()
        merged.update(dict.fromkeys(set(freed) - given))
    return kind(**merged)


def _with_speed(
    kind: type[GenerationArguments], merged: dict[str, Any], source: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Open in ``merged``, the values of earlier sources, what the speed of ``source`` sets, and return ``source``.

    A model that takes no more steps than that anyway stays as it is, which is 'exact'.
    """
    preset = kind.presets.get(source['speed'], {}) if isinstance(source['speed'], str) else {}
    if isinstance(merged.get('steps'), int) and merged['steps'] <= preset.get('steps', 0):
        return {**source, 'speed': 'exact'}
    merged.update(dict.fromkeys(preset))
    return source


def own_names(kind: type[GenerationArguments], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with our names instead of aliases. None means "not given".

    Raises:
        TypeError: for an argument that is given under both of its names.
    """
    renamed = {name: value for name, value in given.items() if name not in kind.aliases}
    for alias, name in kind.aliases.items():
        if given.get(alias) is not None:
            if renamed.get(name) is not None:
                raise TypeError(f"'{alias}' is another name of '{name}', and both are given. Leave one of them out.")
            renamed[name] = given[alias]
    return renamed

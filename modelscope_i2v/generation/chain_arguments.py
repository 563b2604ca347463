"""Which stage of a chain an argument is for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from modelscope_i2v.generation.argument_names import EXECUTION_OPTIONS, PREFIXES, unknown_argument
from modelscope_i2v.generation.arguments import take_none
from modelscope_i2v.stage import Stage

#: Where a bare name goes if both stages take it: to both, to the first one, or to the second one.
BOTH = ('speed', 'steps', 'show_progress', 'force', 'callback_on_step_end', 'background', 'text', 'negative_prompt')
FIRST = ('num_frames',)
SECOND = ('height', 'width', 'output_fps', 'output_type')
#: What a chain does not take from its second stage: a video that was a picture has no sound.
NOT_SECOND = ('sound_track',)
#: Names that a prefix can send to one stage; prefixed names win over bare ones.
PREFIXED = (
    'speed', 'steps', 'solver', 'guidance_scale', 'guidance_rescale', 'guidance_min_timestep', 'guidance_max_timestep',
    'cache_interval', 'timestep_spacing', 'fit', 'height', 'width', 'negative_prompt', 'callback_on_step_end',
)  # fmt: skip
#: Names for loading models: bare names that apply to both, bare names that apply to the first, and those with a prefix.
LOADING_BOTH = ('device', *EXECUTION_OPTIONS)
LOADING_FIRST = ('revision', 'lora', 'lora_scale')
LOADING = (*LOADING_BOTH, *LOADING_FIRST)
#: Arguments of the chain itself.
OWN = ('text', 'seed', 'stage1', 'stage2', 'stage1_seed', 'stage2_seed', 'output_video', 'keep_stage1', 'offline')


@dataclasses.dataclass(frozen=True)
class StageShare:
    """One stage's share of a chain's arguments: for its call, and for loading its model."""

    call: dict[str, Any]
    loading: dict[str, Any]


def stage_names(first: Stage, second: Stage) -> tuple[frozenset[str], frozenset[str]]:
    """The bare names that go to each stage: those that it alone takes, and its share of those that both take."""
    one, other = _fields(first), _fields(second)
    taken = (other - one) | other & {*BOTH, *SECOND}
    return frozenset((one - other) | one & {*BOTH, *FIRST}), frozenset(taken - {*NOT_SECOND})


def split_arguments(first: Stage, second: Stage, arguments: Mapping[str, Any]) -> tuple[StageShare, StageShare]:
    """Split the arguments of a chain between its stages. None means "not given", unless the argument takes it.

    Raises:
        TypeError: for an argument that no stage takes, naming it and the nearest known one.
    """
    names = stage_names(first, second)
    shares = StageShare({}, {}), StageShare({}, {})
    # Bare names first: prefixed ones win.
    for name, value in sorted(arguments.items(), key=lambda item: item[0].startswith(PREFIXES)):
        taken = False
        for index, (stage, share) in enumerate(zip((first, second), shares, strict=True)):
            ours = name.removeprefix(PREFIXES[index])
            prefixed = ours != name
            call = ours in PREFIXED and ours in _fields(stage) if prefixed else ours in names[index]
            loading = ours in (LOADING if prefixed or index == 0 else LOADING_BOTH)
            if (call or loading) and (value is not None or (call and ours in take_none(stage.arguments))):
                (share.call if call else share.loading)[ours] = value
            taken = taken or call or loading
        if not taken:
            raise unknown_argument(name, known_names(first, second), 'chain()')
    return shares


def known_names(first: Stage, second: Stage) -> set[str]:
    """Every argument that a chain takes."""
    prefixed = {
        f'{prefix}{name}'
        for prefix, stage in zip(PREFIXES, (first, second), strict=True)
        for name in (*LOADING, *(set(PREFIXED) & _fields(stage)))
    }
    return {*OWN, *LOADING, *frozenset().union(*stage_names(first, second)), *prefixed}


def _fields(stage: Stage) -> set[str]:
    return {item.name for item in dataclasses.fields(stage.arguments)}

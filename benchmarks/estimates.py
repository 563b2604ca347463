"""What the published models need, as the tables of docs/performance.md and README.md; nothing is measured.

``python -m benchmarks.performance --write cards cards-in-short levels fp8-levels operations`` writes
them.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import torch

import modelscope_i2v
from modelscope_i2v.generation.call_estimate import fitting_call, model_of
from modelscope_i2v.generation.cards import CARDS, Card, card_for
from modelscope_i2v.generation.memory import estimate
from modelscope_i2v.generation.memory_check import CallInRoom, in_gib
from modelscope_i2v.generation.video_size import VideoSize
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.runtime.fp8 import FP8
from modelscope_i2v.runtime.memory_level import LEVELS, NAMED

HALF = Execution(torch.device('cuda'), torch.float16, 'sdpa')
#: The same with weights that rest in eight bits.
RESTING = dataclasses.replace(HALF, weights_dtype=FP8)
#: Models by the names that the tables give them.
MODELS = {'stage 1': 'image-to-video', 'stage 2': 'video-to-video', 'the second generation': 'i2vgen-xl'}
#: Further sizes for stage 2.
LARGER = ({'height': 1040, 'width': 1920}, {'height': 1424, 'width': 2560})
PHASES = ('encode', 'condition', 'sample', 'decode')
#: Operations per second for which times are given: an assumption, not a measurement.
RATE = 50e12


@cache
def networks_of(model: str) -> Any:
    """The networks of a published model, without numbers."""
    return model_of(model).build_networks()


def call_of(name: str, execution: Execution = HALF, **call: Any) -> tuple[CallInRoom, VideoSize]:
    """A call in half precision."""
    model = MODELS[name]
    return fitting_call(model_of(model), networks_of(model), execution, call)


def size_of(name: str, **call: Any) -> str:
    """A model and the size of a call's video."""
    _, size = call_of(name, **call)
    return f'{name}: {size.width}x{size.height}, {size.frames} frames'


def cards_of(name: str, **call: Any) -> list[Card]:
    """What a call gets on each card."""
    fitting, size = call_of(name, **call)
    return [card_for(fitting, size, memory) for memory in CARDS]


def cards() -> list[str]:
    """The rows of the table of cards."""
    calls = [*((name, {}) for name in MODELS), *(('stage 2', size) for size in LARGER)]
    rows = [(size_of(name, **call), [[card] for card in cards_of(name, **call)]) for name, call in calls]
    return _by_card([*rows, ('stage 1, then stage 2, as above', _chain())])


def cards_in_short() -> list[str]:
    """The rows of the table of cards in the readme."""
    second = 'the second generation'
    return _by_card([('both stages, 1280x720', _chain()), (size_of(second), [[card] for card in cards_of(second)])])


def levels() -> list[str]:
    """The rows of the table of phases."""
    rows = []
    for name in MODELS:
        fitting, size = call_of(name)
        for level in NAMED:
            found = estimate(fitting.configuration, fitting.arguments, HALF.at(level), size, weights=fitting.weights)
            phases = {phase.name: in_gib(phase.total) for phase in found.phases}
            needed = [phases.get(phase, '-') for phase in PHASES]
            rows.append([name, f"`'{level.name}'`", *needed, in_gib(found.main) if found.main else '-'])
    return _table(['model', '`memory`', *PHASES, 'main memory'], rows)


def fp8_levels() -> list[str]:
    """The rows of the table of what is on the device at most, with weights that rest in fp8 and without."""
    rows = []
    for name in MODELS:
        for execution in (HALF, RESTING):
            fitting, size = call_of(name, execution)
            given = fitting.configuration, fitting.arguments
            found = [estimate(*given, execution.at(level), size, weights=fitting.weights) for level in LEVELS]
            needed = [in_gib(each.on(execution.device)) for each in found]
            rows.append([name, "`'fp8'`" if execution is RESTING else '-', *needed, in_gib(found[-1].main)])
    return _table(['model', '`weights_dtype`', *(f"`'{level.name}'`" for level in LEVELS), 'main memory'], rows)


def operations() -> list[str]:
    """The rows of the table of operations."""
    rows = []
    for name, model in MODELS.items():
        for speed in ('exact', 'balanced', 'fast'):
            found = modelscope_i2v.estimate(model, speed=speed, rate=RATE)
            by_level = {level.level: level for level in found.levels}
            full, low = by_level['full'], by_level['low']
            rows.append(
                [
                    name,
                    f"`'{speed}'`",
                    str(found.passes.whole),
                    f'{full.operations / 1e12:,.0f}',
                    *(f'{level.seconds or 0:,.0f} s' for level in (full, low)),
                ]
            )
    return _table(['model', '`speed`', 'passes', 'TFLOP', "time, `'full'`", "time, `'low'`"], rows)


def _chain() -> list[list[Card]]:
    """What both stages get on each card."""
    return [list(both) for both in zip(cards_of('stage 1'), cards_of('stage 2'), strict=True)]


def _by_card(rows: Iterable[tuple[str, Sequence[Sequence[Card]]]]) -> list[str]:
    head = ['on a card of', *(f'{memory} GB' for memory in CARDS)]
    return _table(head, [[name, *map(_cell, calls)] for name, calls in rows])


def _cell(calls: Sequence[Card]) -> str:
    """The levels of calls that follow each other, and the most that they take."""
    if any(card.level is None for card in calls):
        return next(card.instead or 'nothing' for card in calls if card.level is None)
    names = dict.fromkeys(f'`{card.level}`' for card in calls)
    return f'{", then ".join(names)}, {in_gib(max(card.device for card in calls))}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f'| {" | ".join(row)} |' for row in (head, *rows)]
    return [lines[0], f'|{"---|" * len(head)}', *lines[1:]]

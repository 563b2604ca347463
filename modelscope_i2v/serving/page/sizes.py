"""Sizes that the page offers: the model's own, others of its grid, and only what fits into the memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.memory import NO_WEIGHTS
from modelscope_i2v.generation.memory_check import CallInRoom, Room
from modelscope_i2v.serving.arguments import arguments_of
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.models import ServedModel
from modelscope_i2v.serving.page.texts import say
from modelscope_i2v.serving.plan import Share

#: Other sizes, as factors of the own one.
_FACTORS = (0.5, 0.75, 1.5, 2.0)
OWN, SHAPE = 'own', 'shape'


def size_arguments(engine: Engine, model: ServedModel) -> dict[str, Mapping[str, int | str]]:
    """Name of a size -> the arguments of a call for it."""
    sizes: dict[str, Mapping[str, int | str]] = {OWN: {}}
    own = Share(model, {}).arguments
    fits = arguments_of([model.stage])['fit'].choices or ()
    if 'keep' in fits and own.fit != 'keep':
        sizes[SHAPE] = {'fit': 'keep'}
    return sizes | dict(_others(engine, model))


def size_choices(engine: Engine, model: ServedModel, language: str) -> list[tuple[str, str]]:
    """``(text, name)`` of each size."""
    size = model.snapshot.folder.configuration.video_size(Share(model, {}).arguments)
    texts = {
        OWN: say(language, 'size_own', size=f'{size.width} × {size.height}'),
        SHAPE: say(language, 'size_shape'),
    }
    return [(texts.get(name, name), name) for name in size_arguments(engine, model)]


def _others(engine: Engine, model: ServedModel) -> Iterator[tuple[str, Mapping[str, int | str]]]:
    configuration: Any = model.snapshot.folder.configuration
    own = configuration.video_size(Share(model, {}).arguments)
    wanted = [(own.width * factor, own.height * factor) for factor in _FACTORS]
    if own.width != own.height and not model.takes_video:
        side = (own.width * own.height) ** 0.5
        wanted = [(side, side), (own.height, own.width), *wanted]
    seen, grid = {(own.width, own.height)}, configuration.grid
    for width, height in wanted:
        call = {'width': _nearest(grid.widths(width), width), 'height': _nearest(grid.heights(height), height)}
        name = f'{call["width"]} × {call["height"]}'
        if tuple(call.values()) not in seen and _is_possible(engine, model, call):
            seen.add((call['width'], call['height']))
            # Stage 2 follows the shape of its input.
            yield name, {'height': call['height']} if model.takes_video else call


def _nearest(sides: list[int], wanted: float) -> int:
    return min(sides, key=lambda side: abs(side - wanted))


def _is_possible(engine: Engine, model: ServedModel, call: Mapping[str, int]) -> bool:
    configuration, execution = model.snapshot.folder.configuration, engine.execution
    try:
        arguments = Share(model, call).arguments
        configuration.check_call(arguments)
    except InputError:
        return False
    size = configuration.video_size(arguments)
    size = dataclasses.replace(size, frames=size.frames or configuration.max_frames)
    if size.pixels > engine.limits.pixels:
        return False
    return CallInRoom(configuration, arguments, execution, Room.on(execution.device), NO_WEIGHTS).fits(size)

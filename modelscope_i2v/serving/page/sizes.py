"""Sizes that the page offers: the model's own, others of its grid, and only what fits into the memory of the device."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.generation.memory_check import CallInRoom
from modelscope_i2v.serving.arguments import arguments_of
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.models import ServedModel
from modelscope_i2v.serving.page.texts import say
from modelscope_i2v.serving.plan import Share

#: Other sizes, as factors of the own one.
_FACTORS = (0.5, 0.75, 1.5, 2.0)
OWN, SHAPE = 'own', 'shape'
_NAME, _NAMED = '{width}x{height}', re.compile(r'(\d{1,6})x(\d{1,6})')


def size_arguments(model: ServedModel, name: str) -> Mapping[str, int | str]:
    """The arguments of a call for the size of that name, whether or not there is memory for it: the engine tells.

    Raises:
        InputError: if it is the name of no size.
    """
    if name == OWN:
        return {}
    if name == SHAPE:
        return {'fit': 'keep'}
    sides = _NAMED.fullmatch(name)
    if sides is None:
        raise InputError(f'There is no size {shown(name)}. Choose another one.')
    width, height = map(int, sides.groups())
    # Stage 2 follows the shape of its input.
    return {'height': height} if model.takes_video else {'height': height, 'width': width}


class Sizes:
    """What a page offers. That depends on the memory of the device, not on what jobs leave of it at the moment."""

    def __init__(self, engine: Engine) -> None:
        self._limits, self._device = engine.limits, engine.first_device

    def choices(self, model: ServedModel, language: str) -> list[tuple[str, str]]:
        """``(text, name)`` of each size."""
        own, configuration = Share(model, {}).arguments, model.snapshot.folder.configuration
        if model.takes_video:
            choices = [(say(language, 'size_video'), OWN)]
        elif configuration.follows_input(own):
            choices = [(say(language, 'size_picture'), OWN)]
        else:
            size = configuration.video_size(own)
            choices = [(say(language, 'size_own', size=f'{size.width} × {size.height}'), OWN)]
            if 'keep' in (arguments_of([model.stage])['fit'].choices or ()):
                choices.append((say(language, 'size_shape'), SHAPE))
        for width, height in self._others(model):
            text = say(language, 'size_high', height=height) if model.takes_video else f'{width} × {height}'
            choices.append((text, _NAME.format(width=width, height=height)))
        return choices

    def _others(self, model: ServedModel) -> Iterator[tuple[int, int]]:
        """Width and height of others than the own one."""
        configuration: Any = model.snapshot.folder.configuration
        own = configuration.video_size(Share(model, {}).arguments)
        wanted = [(own.width * factor, own.height * factor) for factor in _FACTORS]
        if own.width != own.height and not model.takes_video:
            side = (own.width * own.height) ** 0.5
            wanted = [(side, side), (own.height, own.width), *wanted]
        seen, grid = {own.height if model.takes_video else (own.width, own.height)}, configuration.grid
        for width, height in wanted:
            sides = _nearest(grid.widths(width), width), _nearest(grid.heights(height), height)
            asked = sides[1] if model.takes_video else sides
            if asked not in seen and self._is_possible(model, *sides):
                seen.add(asked)
                yield sides

    def _is_possible(self, model: ServedModel, width: int, height: int) -> bool:
        configuration, device = model.snapshot.folder.configuration, self._device
        try:
            arguments = Share(model, {'width': width, 'height': height}).arguments
            configuration.check_call(arguments)
        except InputError:
            return False
        size = configuration.video_size(arguments)
        size = dataclasses.replace(size, frames=size.frames or configuration.max_frames)
        if size.pixels > self._limits.pixels:
            return False
        return CallInRoom(configuration, arguments, device.execution, device.room, device.weights(model)).fits(size)


def _nearest(sides: list[int], wanted: float) -> int:
    return min(sides, key=lambda side: abs(side - wanted))

"""The options of a step: which a model takes, what the page offers for them, and what a call gets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from modelscope_i2v.serving.arguments import arguments_of
from modelscope_i2v.serving.limits import Limits
from modelscope_i2v.serving.models import ServedModel
from modelscope_i2v.serving.plan import Share


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: of the argument.
        kind: how it is shown.
        low, high, step: of a slider; the engine has limits of its own.
        folded: whether it is out of sight until somebody wants more.
        steps: which steps of the page have it.
    """

    name: str
    kind: Literal['slider', 'choice', 'words']
    low: float = 0
    high: float = 1
    step: float = 1
    folded: bool = True
    in_steps: tuple[int, ...] = (1, 2)


OPTIONS = (
    Option('num_frames', 'slider', 1, 64, folded=False, in_steps=(1,)),
    Option('image_strength', 'slider', 0, 1, 0.05, folded=False),
    Option('steps', 'slider', 1, 100),
    Option('guidance_scale', 'slider', 1, 20, 0.5),
    Option('noise_level', 'slider', 1, 999),
    Option('solver', 'choice'),
    Option('speed', 'choice'),
    Option('negative_prompt', 'words'),
)


def options_of(step: int, models: list[ServedModel]) -> list[Option]:
    """The options of a step that at least one of its models takes."""
    taken = {name for model in models for name in arguments_of([model.stage])}
    return [option for option in OPTIONS if step in option.in_steps and option.name in taken]


def takes(model: ServedModel, name: str) -> bool:
    """Whether calls of a model have the argument ``name``."""
    return name in arguments_of([model.stage])


def default(model: ServedModel, name: str) -> Any:
    """What a call of a model uses if nothing is said."""
    return getattr(Share(model, {}).arguments, name, None)


def properties(option: Option, model: ServedModel, limits: Limits) -> dict[str, Any]:
    """What differs between models in how an option is shown."""
    if not takes(model, option.name):
        return {'visible': False}
    if option.kind == 'choice':
        return {'visible': True, 'choices': list(arguments_of([model.stage])[option.name].choices or ())}
    if option.kind == 'words':
        return {'visible': True}
    value = default(model, option.name) or option.low
    allowed = {'steps': limits.steps, 'num_frames': limits.frames}.get(option.name, option.high)
    return {'visible': True, 'maximum': min(allowed, max(option.high, 2 * value if option.high > 1 else 1))}


def changed(model: ServedModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call: those of ``values`` that the model takes and that are not its own anyway."""
    return {
        name: value
        for name, value in values.items()
        if takes(model, name) and value is not None and value != (default(model, name) or type(value)())
    }

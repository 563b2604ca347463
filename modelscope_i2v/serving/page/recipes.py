"""A recipe as what somebody would type: a command, and a few lines of Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from modelscope_i2v.generation.recipe import EMBEDDED
from modelscope_i2v.serving.arguments import Argument, arguments_of
from modelscope_i2v.serving.models import Catalogue, ServedModel
from modelscope_i2v.serving.plan import Share
from modelscope_i2v.stage import Stage, stage_of

#: Names of files: what somebody has, and what a single stage makes of it. The videos of several are numbered.
_PHOTO, _VIDEO, _LARGER, _NUMBERED = 'photo.jpg', 'video.mp4', 'larger.mp4', 'video-{number}.mp4'


def command_line(recipe: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> str:
    """The commands that make a video again, one per line."""
    return '\n'.join(_command(*each) for each in _calls(recipe, catalogue))


def python(recipe: Sequence[Mapping[str, Any]], catalogue: Catalogue) -> str:
    """The Python that makes a video again."""
    lines = ['import modelscope_i2v']
    for entry, call, source, output in _calls(recipe, catalogue):
        given = ''.join(f', {name}={value!r}' for name, value in call.items())
        lines += ['', f'pipe = {_load(entry)}', f'pipe({source!r}, output_video={output!r}{given})']
    if any(entry['model'] == EMBEDDED for entry in recipe):
        lines.insert(1, 'from modelscope_i2v.embedded import embedded_model')
    return '\n'.join(lines)


def _calls(
    recipe: Sequence[Mapping[str, Any]], catalogue: Catalogue
) -> list[tuple[Mapping[str, Any], dict[str, Any], str, str]]:
    """``(entry, arguments, input, output)`` of each stage of a recipe."""
    source, calls = _PHOTO, []
    for number, entry in enumerate(recipe, 1):
        output = _NUMBERED.format(number=number) if len(recipe) > 1 else _VIDEO
        if number == 1 and stage_of(entry['stage']).verb.takes_video:
            source, output = _VIDEO, output if len(recipe) > 1 else _LARGER
        calls.append((entry, _call(entry, catalogue), source, output))
        source = output
    return calls


def _call(entry: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """The arguments that differ from what the model does anyway, the seed first."""
    model = _served(entry, catalogue)
    known = arguments_of([_stage(entry, model)])
    call = {'seed': entry['seed']}
    call.update({name: entry[name] for name in known if name in entry and _is_needed(name, entry[name], model, known)})
    if {'height', 'width'} & set(call):  # one side alone would let the other follow the input
        call.update({name: entry[name] for name in ('height', 'width') if entry.get(name) is not None})
    return call


def _is_needed(name: str, value: Any, model: ServedModel | None, known: Mapping[str, Argument]) -> bool:
    if value is None:
        return False
    return model is None or value != getattr(Share(model, {}).arguments, name)


def _served(entry: Mapping[str, Any], catalogue: Catalogue) -> ServedModel | None:
    for model in catalogue.models:
        if entry['model'] in (model.name, model.name.partition('/')[0]) and model.stage.task == entry['stage']:
            return model
    return None


def _stage(entry: Mapping[str, Any], model: ServedModel | None) -> Stage:
    return stage_of(entry['stage']) if model is None else model.stage


def _command(entry: Mapping[str, Any], call: Mapping[str, Any], source: str, output: str) -> str:
    words = ['modelscope-i2v', entry['stage'], source, '-o', output]
    if entry['model'] != EMBEDDED:
        words += ['--model', entry['model']]
    if entry.get('revision'):
        words += ['--model-revision', entry['revision']]
    for name, value in call.items():
        words += [f'--{name.replace("_", "-")}', str(value)]
    return shlex.join(words)


def _load(entry: Mapping[str, Any]) -> str:
    if entry['model'] == EMBEDDED:
        return f'modelscope_i2v.load(embedded_model({entry["stage"]!r}))'
    revision = f', {entry["revision"]!r}' if entry.get('revision') else ''
    return f'modelscope_i2v.load({entry["model"]!r}{revision})'

"""The body of ``POST /v1/videos`` in the OpenAPI document, from the arguments of the served models."""

from __future__ import annotations

from typing import Any

from modelscope_i2v.serving.arguments import Argument, arguments_of
from modelscope_i2v.serving.models import Catalogue

_TYPES = {int: 'integer', float: 'number', bool: 'boolean', str: 'string'}


def request_body(catalogue: Catalogue) -> dict[str, Any]:
    """The description of the body, as a form and as JSON, with examples."""
    properties = {**_own(catalogue), **_arguments(catalogue)}
    picture = {'input_reference': {'type': 'string', 'format': 'binary', 'description': 'a picture or a video'}}
    form = {'schema': {'type': 'object', 'properties': {**properties, **picture}}}
    json = {'schema': {'type': 'object', 'properties': properties}, 'examples': _examples(catalogue)}
    return {'requestBody': {'required': True, 'content': {'multipart/form-data': form, 'application/json': json}}}


def _own(catalogue: Catalogue) -> dict[str, Any]:
    names = [model.name for model in catalogue.models]
    return {
        'model': {'type': 'string', 'enum': names, 'description': 'default: the first one that takes the input'},
        'prompt': {'type': 'string', 'description': 'what the video shows, for models that take a text'},
        'input_reference': {'type': 'string', 'description': 'a picture or a video as base64 or as a data URI'},
        'source_video_id': {'type': 'string', 'description': 'a completed video, instead of input_reference'},
        'seconds': {'type': 'number', 'exclusiveMinimum': 0, 'description': 'length of the video, or num_frames'},
        'size': {'type': 'string', 'pattern': '^[0-9]{1,6}x[0-9]{1,6}$', 'description': 'WIDTHxHEIGHT in pixels'},
        'stages': {'type': 'integer', 'enum': [1, 2], 'description': '2 makes the video sharper with another model'},
    }


def _arguments(catalogue: Catalogue) -> dict[str, Any]:
    stages = {model.stage.name: model.stage for model in catalogue.models}
    sets = [[stage] for stage in stages.values()]
    sets += [
        [stage, other]
        for stage in stages.values()
        for other in stages.values()
        if stage.followed_by is not None and stage.followed_by == other.task
    ]
    known: dict[str, Argument] = {}
    for each in sets:
        known = {**arguments_of(each), **known}
    return {name: _described(item) for name, item in sorted(known.items()) if name != 'text'}


def _described(item: Argument) -> dict[str, Any]:
    choices = {'enum': list(item.choices)} if item.choices else {}
    return {'type': _TYPES[item.type], 'description': f'{item.help} (default: {item.default})', **choices}


def _examples(catalogue: Catalogue) -> dict[str, Any]:
    pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPj/HwADAgH/p9ZqUAAAAABJRU5ErkJggg=='
    examples: dict[str, Any] = {
        'a picture': {'value': {'input_reference': f'data:image/png;base64,{pixel}', 'seed': 8888}}
    }
    video = next((model for model in catalogue.models if model.takes_video), None)
    if video is not None:
        larger = {'model': video.name, 'source_video_id': 'video_...', 'prompt': 'a red fox in snow'}
        examples['a larger video'] = {'value': larger}
    return examples

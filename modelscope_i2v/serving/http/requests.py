"""From the body of ``POST /v1/videos``, a form or JSON, to a request for the engine. No path or address is followed."""

from __future__ import annotations

import json
import re
from typing import Any

from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from modelscope_i2v.errors import InputError, ModelScopeI2VError, OutputError, shown
from modelscope_i2v.files import parse_json
from modelscope_i2v.generation.untrusted import untrusted_call
from modelscope_i2v.serving.http.errors import MediaTypeError
from modelscope_i2v.serving.jobs import VideoRequest

#: Names of fields that are no arguments of a call.
OWN = ('model', 'prompt', 'input_reference', 'source_video_id', 'seconds', 'size', 'stages')
_FORMS = ('multipart/form-data', 'application/x-www-form-urlencoded')
_SIZE = re.compile(r'(\d{1,6})x(\d{1,6})')
#: How clients send ``{"image_url": ...}`` in a form.
_NESTED = 'input_reference[image_url]'
_MOST_FIELDS = 100


async def read_request(request: Request, max_body: int) -> VideoRequest:
    """The request in a body.

    Raises:
        InputError: for a body that cannot be understood. MediaTypeError: for another kind of body.
    """
    kind = request.headers.get('content-type', '').partition(';')[0].strip().lower()
    if kind in _FORMS:
        fields = await _form_fields(request, max_body)
    elif kind == 'application/json' or kind.endswith('+json'):
        fields = _json_fields(await request.body())
    else:
        raise MediaTypeError(f'Send a form (multipart/form-data) or JSON (application/json), found {shown(kind)}.')
    return _video_request(fields)


async def _form_fields(request: Request, max_body: int) -> dict[str, Any]:
    try:
        async with request.form(max_files=1, max_fields=_MOST_FIELDS, max_part_size=max_body) as form:
            fields = await _by_name(form)
    except (FormParserError, HTTPException) as error:  # the first from older releases of Starlette
        said = error.detail if isinstance(error, HTTPException) else str(error)
        raise InputError(f'The body is not a valid form: {said.rstrip(".")}.') from error
    except ModelScopeI2VError:
        raise
    except OSError as error:  # large files wait on the disk
        raise OutputError('The picture or video cannot be stored.') from error
    # An empty field is one that was left empty.
    return {name: value for name, value in fields.items() if value != ''}


async def _by_name(form: FormData) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        own = 'input_reference' if name == _NESTED else name
        if own in fields:
            raise InputError(f'The form has {shown(own)} twice. Send it once.')
        if isinstance(value, UploadFile) and own != 'input_reference':
            raise InputError(f"{shown(own)} is a file; only 'input_reference' can be one.")
        fields[own] = await value.read() if isinstance(value, UploadFile) else value
    return fields


def _json_fields(body: bytes) -> dict[str, Any]:
    try:
        fields = parse_json(body.decode('utf-8-sig'))
        json.dumps(fields, ensure_ascii=False).encode()  # half of a character can be written in JSON, but not be used
    except (ValueError, RecursionError) as error:
        raise InputError(f'The body is not valid JSON: {error}.') from error
    if not isinstance(fields, dict):
        raise InputError(f'The body must be a JSON object, found {shown(fields)}.')
    return {name: value for name, value in fields.items() if value is not None}


def _video_request(fields: dict[str, Any]) -> VideoRequest:
    arguments = {name: value for name, value in fields.items() if name not in OWN}
    if 'size' in fields:
        if {'height', 'width'} & set(arguments):
            raise InputError("'size' sets 'height' and 'width'. Give one or the other.")
        size = fields['size']
        match = _SIZE.fullmatch(size) if isinstance(size, str) else None
        if match is None:
            raise InputError(f"'size' must be WIDTHxHEIGHT, such as '448x256', found {shown(size)}.")
        arguments.update(width=int(match[1]), height=int(match[2]))
    return VideoRequest(
        content=_content(fields.get('input_reference')),
        source=fields.get('source_video_id'),
        model=fields.get('model'),
        prompt=fields.get('prompt', ''),
        arguments=arguments,
        seconds=_number('seconds', fields.get('seconds'), float),
        stages=_number('stages', fields.get('stages', 1), int),
    )


def _content(value: Any) -> bytes | None:
    """The bytes of the input: a file, base64 or a data URI; a path or an address is refused."""
    if isinstance(value, dict):
        if set(value) != {'image_url'}:
            raise InputError(f"'input_reference' must have the key 'image_url' only, found {shown(value)}.")
        value = value['image_url']
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise InputError(f"'input_reference' must be a file, base64 or a data URI, found {shown(value)}.")
    content: bytes = untrusted_call(value, {})
    return content


def _number(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return kind(value)
    except ValueError as error:
        raise InputError(f"'{name}' must be a number, found {shown(value)}.") from error

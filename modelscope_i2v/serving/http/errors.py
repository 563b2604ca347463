"""Every error as ``{"error": {"message", "type", "code"}}``, with a status below 500 for what the user can mend."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from modelscope_i2v.errors import InputError, ModelScopeI2VError, shown
from modelscope_i2v.generation.argument_names import UnknownArgumentError
from modelscope_i2v.serving.failures import UNKNOWN, failure

logger = logging.getLogger(__name__)


class MediaTypeError(InputError):
    """The body of a request is neither a form nor JSON."""


class HiddenError(InputError):
    """What is asked for is not for everybody."""


class SlowBodyError(InputError):
    """The body of a request does not arrive."""


#: Code -> status, of what the engine refuses and of failed jobs, for callers who waited. Any other is 500.
STATUS_OF_CODE: Mapping[str, int] = {
    'video_not_found': 404,
    'model_not_found': 404,
    'video_not_ready': 409,
    'queue_full': 429,
    'too_large': 413,
    'unreadable_input': 400,
    'unknown_argument': 400,
    'invalid_request': 400,
    'device_error': 400,
    'cancelled': 409,
    'shutting_down': 503,
    'interrupted': 503,
    'storage_error': 507,
}
#: Errors that only this API has.
_OWN: tuple[tuple[type[Exception], int, str], ...] = (
    (MediaTypeError, 415, 'unsupported_media_type'),
    (SlowBodyError, 408, 'request_timeout'),
    (HiddenError, 403, 'not_listed'),
)
_TYPES: Mapping[int, str] = {401: 'authentication_error', 403: 'permission_error', 429: 'rate_limit_error'}
#: Seconds after which a client may try again.
_RETRY_AFTER = {'Retry-After': '5'}


def error_response(status: int, message: str, code: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response for an error."""
    kind = _TYPES.get(status, 'server_error' if status >= 500 else 'invalid_request_error')
    more = _RETRY_AFTER if status in (429, 503) else {}
    # Escaped, because messages may quote what is no valid text.
    content = json.dumps({'error': {'message': message, 'type': kind, 'code': code}})
    return Response(content, status, {**more, **(headers or {})}, media_type='application/json')


def add_handlers(app: FastAPI) -> None:
    """Make an application answer errors with :func:`error_response`."""
    app.add_exception_handler(ModelScopeI2VError, _ours)
    app.add_exception_handler(UnknownArgumentError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _of_framework)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def _ours(request: Request, error: Exception) -> Response:
    for kind, status, code in _OWN:
        if isinstance(error, kind):
            return error_response(status, str(error), code)
    found = failure(error)
    status = STATUS_OF_CODE.get(found.code, 500)
    if status == 500:
        logger.error('%s %s failed: %s', request.method, request.url.path, error)
    return error_response(status, found.message, found.code)


def _invalid(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else ()
    found = [(problem['loc'][-1], problem['msg'], shown(problem['input'])) for problem in problems]
    said = '; '.join(f"'{name}': {message}, found {value}" for name, message, value in found)
    return error_response(400, f'{said}.', 'invalid_request')


def _of_framework(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    messages = {
        404: f'There is nothing at {shown(request.url.path)}. See /docs.',
        405: f'{request.method} is not possible at {shown(request.url.path)}. See /docs.',
    }
    detail = error.detail if isinstance(error, HTTPException) else ''
    codes = {404: 'not_found', 405: 'method_not_allowed'}
    return error_response(status, messages.get(status, str(detail)), codes.get(status, 'http_error'), headers)


def _gone(_: Request, __: Exception) -> Response:
    return error_response(400, 'The client went away.', 'client_gone')  # nobody reads it


def _unexpected(_: Request, __: Exception) -> Response:
    return error_response(500, UNKNOWN, 'internal_error')

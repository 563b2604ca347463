"""``studio``: a page for people and an HTTP API for programs, on this machine, or on others with a token."""

from __future__ import annotations

import argparse
import os
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelscope_i2v.cli.options import add_loading_options, given
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.terminal import say
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import EXECUTION_OPTIONS
from modelscope_i2v.stage import stage_of, stages

if TYPE_CHECKING:
    from modelscope_i2v.serving.models import ServedModel

#: The environment variable of the token.
TOKEN = 'MODELSCOPE_I2V_TOKEN'


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'studio',
        usage='[--host HOST] [--port PORT] [options]',
        summary='a page that makes videos, and the same for programs over HTTP',
        description='Serve a page for people and POST /v1/videos for programs. /docs has all routes.',
        examples=['--open', '--model damo/Image-to-Video --model-revision v1.1.0 --device cuda:0'],
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on (default: 127.0.0.1, only this machine)'
    )
    parser.add_argument('--port', type=int, default=7860, help='port to listen on, 0 for any (default: 7860)')
    parser.add_argument(
        '--token-file',
        metavar='FILE',
        help=f'file with the token that requests must have (default: the variable {TOKEN})',
    )
    parser.add_argument(
        '--public',
        action='store_true',
        help='let everybody who reaches the address use it without a token (default: off)',
    )
    parser.add_argument('--open', action='store_true', help='open the page in the browser (default: off)')
    group = parser.add_argument_group('models')
    group.add_argument('--model', help='model folder or hub id (default: the embedded models, which need no download)')
    group.add_argument('--model-revision', '--revision', help="revision on the hub (default: the hub's default branch)")
    group.add_argument('--stage2-model', help='model that makes videos sharper (default: the counterpart of --model)')
    group.add_argument('--stage2-model-revision', help='revision on the hub (default: same as --model-revision)')
    add_loading_options(group, several_devices=True)
    results = parser.add_argument_group('results and limits')
    results.add_argument(
        '--results', metavar='DIR', help='folder where videos are kept (default: ~/.cache/modelscope_i2v/results)'
    )
    results.add_argument('--keep-days', type=float, default=7.0, help='days that videos are kept (default: 7)')
    results.add_argument('--keep-gb', type=float, default=10.0, help='GB of videos that are kept (default: 10)')
    results.add_argument('--max-queue', type=int, default=16, help='jobs that may wait (default: 16)')
    results.add_argument('--max-frames', type=int, default=128, help='frames of a video (default: 128)')
    results.add_argument('--max-steps', type=int, default=200, help='steps of a stage (default: 200)')
    results.add_argument(
        '--max-pixels', type=int, default=1920 * 1088, help='pixels of a frame (default: 2088960, 1920 x 1088)'
    )
    results.add_argument(
        '--max-mb', type=float, default=32.0, help='MB of a picture or video that is sent (default: 32)'
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    from modelscope_i2v.serving.http.requirements import check_requirements

    check_requirements()
    from modelscope_i2v.serving.http.address import bind, check_address
    from modelscope_i2v.serving.limits import Limits

    token = _token(arguments.token_file)
    check_address(arguments.host, token=token, public=arguments.public)
    limits = Limits(
        content=int(arguments.max_mb * 2**20),
        pixels=arguments.max_pixels,
        frames=arguments.max_frames,
        steps=arguments.max_steps,
        queue=arguments.max_queue,
        kept_bytes=int(arguments.keep_gb * 2**30),
        kept_seconds=arguments.keep_days * 24 * 3600,
    )
    devices = [name.strip() for name in arguments.device.split(',')] if arguments.device else [None]
    folder = arguments.results or Path.home() / '.cache' / 'modelscope_i2v' / 'results'
    # A port that is taken must not cost the time of loading.
    with bind(arguments.host, arguments.port) as listening:
        from modelscope_i2v.serving.engine import Engine
        from modelscope_i2v.serving.http.app import create_app
        from modelscope_i2v.serving.http.guard import Access
        from modelscope_i2v.serving.http.run import serve

        execution = given(arguments, *EXECUTION_OPTIONS)
        with Engine(_models(arguments), folder, limits=limits, devices=devices, **execution) as engine:
            app = create_app(engine, Access(token, arguments.public))
            host = f'[{arguments.host}]' if ':' in arguments.host else arguments.host
            address = f'http://{host}:{listening.getsockname()[1]}'
            say(f'Serving on {address} (/docs has all routes). Ctrl-C stops it.')
            if arguments.open:
                # Some browsers keep whoever opens them waiting.
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            serve(app, listening)
    return 0


def _token(file: str | None) -> str | None:
    """The token from a file or the environment; None if there is none."""
    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        token = Path(file).read_text(encoding='utf-8').strip()
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the token in '{file}': {error}. Name a text file with one line.") from error
    if not token:
        raise InputError(f"The token file '{file}' is empty. Write a long random word into it.")
    return token


def _models(arguments: argparse.Namespace) -> list[ServedModel]:
    from modelscope_i2v.serving.models import ServedModel, embedded_models

    if arguments.model is None:
        if arguments.stage2_model or arguments.model_revision or arguments.stage2_model_revision:
            raise InputError("'--model' is missing: without it, the embedded models are served, and only they.")
        return embedded_models()
    offline, revision = arguments.offline, arguments.model_revision
    models = [ServedModel.find(arguments.model, revision, offline=offline)]
    second = arguments.stage2_model or _counterpart(arguments.model)
    if second is not None:
        models.append(ServedModel.find(second, arguments.stage2_model_revision or revision, offline=offline))
    return models


def _counterpart(model: str) -> str | None:
    """The hub id of the model that follows the one of the hub id ``model``, if it is known."""
    first = next((stage for stage in stages() if stage.default_hub_model == model), None)
    return None if first is None or first.followed_by is None else stage_of(first.followed_by).default_hub_model

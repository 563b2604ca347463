"""Puts the page at ``/`` of the application that serves the API."""

from __future__ import annotations

import inspect
from typing import Any

from fastapi import FastAPI
from gradio import mount_gradio_app
from starlette.routing import Match, Mount
from starlette.types import Scope

from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.page.page import build_page
from modelscope_i2v.serving.page.policy import OwnHostOnly
from modelscope_i2v.serving.page.theme import SCRIPT, STYLE, theme

#: What the page consists of. Anything else is the API's, or an error of the API.
_PATHS = ('', 'assets', 'config', 'favicon.ico', 'gradio_api', 'manifest.json', 'static', 'svelte', 'theme.css')

#: Newer releases remember in the browser what a page was asked for.
_WITHOUT_HISTORY: dict[str, Any] = (
    {'run_history': False} if 'run_history' in inspect.signature(mount_gradio_app).parameters else {}
)


def mount_page(app: FastAPI, engine: Engine) -> None:
    """Add the page of ``engine``, after all other routes."""
    mount_gradio_app(
        app,
        build_page(engine),
        '/',
        footer_links=[],
        max_file_size=engine.limits.content,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=theme(),
        css=STYLE,
        head=f'<script>{SCRIPT}</script>',
        **_WITHOUT_HISTORY,
    )
    mounted = app.router.routes.pop()
    if not isinstance(mounted, Mount):
        raise TypeError(f'Gradio adds a {type(mounted).__name__}, not a Mount.')
    app.router.routes.append(_PageMount('/', app=OwnHostOnly(mounted.app)))


class _PageMount(Mount):
    """Takes only the paths of the page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As for any mount, but for one of our paths."""
        first = scope['path'].removeprefix(scope.get('root_path', '')).strip('/').partition('/')[0]
        return super().matches(scope) if first in _PATHS else (Match.NONE, {})

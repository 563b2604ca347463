"""The application: routes, what guards them, and how errors look."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response

from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.http.addresses import NoAddresses
from modelscope_i2v.serving.http.errors import add_handlers
from modelscope_i2v.serving.http.guard import Access, Guard
from modelscope_i2v.serving.http.metrics import TEXT, Metrics
from modelscope_i2v.serving.http.openapi import request_body
from modelscope_i2v.serving.http.page import page
from modelscope_i2v.serving.http.schemas import Health, Model, ModelPage
from modelscope_i2v.serving.http.videos import VideoRoutes, errors
from modelscope_i2v.serving.page.mount import mount_page
from modelscope_i2v.version import __version__

#: Bytes of a body beside its picture or video.
_REST = 2**20


def create_app(engine: Engine, access: Access) -> FastAPI:
    """The API of an engine, and its page. Whoever made the engine closes it."""
    max_body = 4 * engine.limits.content // 3 + _REST  # base64 takes a third more
    # Their pages load scripts from another host. Ours is at /docs.
    app = FastAPI(title='modelscope_i2v', version=__version__, docs_url=None, redoc_url=None)
    add_handlers(app)
    app.add_middleware(NoAddresses)
    app.add_middleware(Guard, access=access, max_body=max_body)
    videos = VideoRoutes(engine, max_body, listed=not access.is_open)
    app.include_router(videos.router(request_body(engine.catalogue)))
    served = _ServerRoutes(engine, app)
    own: Any = {'responses': errors(), 'tags': ['server']}
    app.add_api_route('/v1/models', served.models, response_model=ModelPage, **own)
    one: Any = {**own, 'responses': errors(404)}
    app.add_api_route('/v1/models/{model_id:path}', served.model, response_model=Model, **one)
    app.add_api_route(
        '/health', served.health, response_model=Health, tags=['server'], responses={503: {'model': Health}}
    )
    text: Any = {200: {'content': {TEXT.partition(';')[0]: {'schema': {'type': 'string'}}}}}
    app.add_api_route(
        '/metrics',
        Metrics(engine).answer,
        response_class=Response,
        tags=['server'],
        responses={**errors(), **text},
    )
    app.add_api_route('/docs', served.docs, response_class=HTMLResponse, include_in_schema=False)
    mount_page(app, engine)
    return app


class _ServerRoutes:
    """Routes about the server as a whole."""

    def __init__(self, engine: Engine, app: FastAPI) -> None:
        self._engine, self._app = engine, app

    def models(self) -> ModelPage:
        """The models that can be asked for; the first one that takes the input is the default."""
        return ModelPage(data=[Model.of(model) for model in self._engine.catalogue.models])

    def model(self, model_id: str) -> Model:
        """One of the models."""
        return Model.of(self._engine.catalogue.named(model_id))

    def health(self, response: Response) -> Health:
        """Whether the workers work, and how many jobs wait and run."""
        waiting, running = self._engine.counts
        if not self._engine.is_healthy:
            response.status_code = 503
        return Health(status='ok' if self._engine.is_healthy else 'failing', waiting=waiting, running=running)

    def docs(self) -> HTMLResponse:
        """This API on one page."""
        return HTMLResponse(page(self._app.openapi()))

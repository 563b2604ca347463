"""The routes under ``/v1/videos``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response, StreamingResponse

from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.http.errors import STATUS_OF_CODE, HiddenError, error_response
from modelscope_i2v.serving.http.requests import read_request
from modelscope_i2v.serving.http.schemas import Deleted, ErrorAnswer, Video, VideoPage
from modelscope_i2v.serving.jobs import Job, NotFinishedError, UnknownJobError
from modelscope_i2v.serving.pictures import spritesheet, thumbnail

#: Seconds between two looks at a job for somebody who follows it. A look costs microseconds.
POLL = 0.1
#: Seconds after which a silent stream of events says that it is still there.
KEEP_ALIVE = 15.0
_SHEETS = {'thumbnail': (thumbnail, 'image/webp'), 'spritesheet': (spritesheet, 'image/jpeg')}

#: Pictures of a video do not change.
_KEPT = {'Cache-Control': 'private, max-age=3600'}

Variant = Literal['video', 'thumbnail', 'spritesheet']


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for the OpenAPI document."""
    return {status: {'model': ErrorAnswer} for status in (*statuses, 401, 403)}


def binary(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The files that a route answers with, for the OpenAPI document."""
    return {200: {'content': {kind: {'schema': {'type': 'string', 'format': 'binary'}} for kind in kinds}}}


class VideoRoutes:
    """The routes for the jobs of an engine.

    Args:
        max_body: bytes of a request's body.
        listed: whether anybody who may ask learns of all jobs. If not, only who knows the id of a job learns of it.
    """

    def __init__(self, engine: Engine, max_body: int, *, listed: bool = True) -> None:
        self._engine, self._max_body, self._listed = engine, max_body, listed

    def router(self, body: dict[str, Any]) -> APIRouter:
        """All routes; ``body`` describes what ``POST`` takes."""
        router = APIRouter(prefix='/v1/videos', tags=['videos'])
        create = errors(400, 404, 408, 409, 413, 415, 429, 503, 507)
        add = router.add_api_route
        add('', self.create, methods=['POST'], responses=create, openapi_extra=body, response_model=Video)
        add('', self.page, methods=['GET'], responses=errors(400, 404), response_model=VideoPage)
        sync: Any = {**create, **binary('video/mp4')}
        add('/sync', self.sync, methods=['POST'], responses=sync, openapi_extra=body, response_class=Response)
        add('/{video_id}', self.get, methods=['GET'], responses=errors(404), response_model=Video)
        add('/{video_id}', self.delete, methods=['DELETE'], responses=errors(404, 409), response_model=Deleted)
        content: Any = {**errors(400, 404, 409), **binary('video/mp4', 'image/webp', 'image/jpeg')}
        add('/{video_id}/content', self.content, methods=['GET'], responses=content, response_class=Response)
        events: Any = {**errors(404), 200: {'content': {'text/event-stream': {'schema': {'type': 'string'}}}}}
        add('/{video_id}/events', self.events, methods=['GET'], responses=events, response_class=Response)
        return router

    async def create(self, request: Request) -> Video:
        """Put a job into the queue and answer at once."""
        return self._shown(await self._submitted(request))

    async def sync(self, request: Request) -> Response:
        """Make a video and answer with the file. If the client goes away, the job is cancelled."""
        job = await self._submitted(request)
        async for state in self._states(job):
            job = state
            if await request.is_disconnected():
                self._engine.cancel(job.id)
        if job.error is not None:
            return error_response(STATUS_OF_CODE.get(job.error.code, 500), job.error.message, job.error.code)
        return self._file(job)

    def page(
        self,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        after: Annotated[str | None, Query(description='the last id of the page before')] = None,
        order: Literal['asc', 'desc'] = 'desc',
    ) -> VideoPage:
        """A page of jobs, the newest first unless ``order`` says otherwise. A public server does not list them."""
        if not self._listed:
            raise HiddenError('This server is open to everybody, so it does not list videos. Ask for yours by its id.')
        jobs, more = self._engine.jobs(limit=limit, after=after, order=order)
        videos = [self._shown(job) for job in jobs]
        ends = (videos[0].id, videos[-1].id) if videos else (None, None)
        return VideoPage(data=videos, first_id=ends[0], last_id=ends[1], has_more=more)

    def get(self, video_id: str) -> Video:
        """One job as it is now."""
        return self._shown(self._engine.job(video_id))

    def delete(self, video_id: str) -> Deleted:
        """Delete a finished job and its video, or cancel one that is not done: it then fails with ``cancelled``."""
        try:
            self._engine.delete(video_id)
        except NotFinishedError:
            self._engine.cancel(video_id)
            return Deleted(id=video_id, deleted=False)
        return Deleted(id=video_id, deleted=True)

    def content(self, video_id: str, variant: Variant = 'video') -> Response:
        """The video as MP4, its first frame as WebP, or its frames on one sheet as JPEG."""
        if variant == 'video':
            return self._file(self._engine.job(video_id))
        make, kind = _SHEETS[variant]
        return Response(make(self._engine.result(video_id)), media_type=kind, headers=_KEPT)

    async def events(self, video_id: str) -> Response:
        """Server-sent events: the job whenever it changes, until it is finished. The event is named by its status."""
        job = self._engine.job(video_id)
        return StreamingResponse(
            self._event_lines(job), media_type='text/event-stream', headers={'Cache-Control': 'no-cache'}
        )

    async def _submitted(self, request: Request) -> Job:
        read = await read_request(request, self._max_body)
        return await run_in_threadpool(self._engine.submit, read)

    async def _states(self, job: Job) -> AsyncIterator[Job]:
        """The job every :data:`POLL` seconds, until it is finished or deleted."""
        yield job
        while not job.is_finished:
            await asyncio.sleep(POLL)
            try:
                job = self._engine.job(job.id)
            except UnknownJobError:
                return
            yield job

    async def _event_lines(self, job: Job) -> AsyncIterator[str]:
        seen, said = -1, time.monotonic()
        async for state in self._states(job):
            if state.version != seen:
                seen, said = state.version, time.monotonic()
                yield f'event: {state.status}\ndata: {self._shown(state).model_dump_json()}\n\n'
            elif time.monotonic() - said > KEEP_ALIVE:
                said = time.monotonic()
                yield ': still here\n\n'

    def _shown(self, job: Job) -> Video:
        return Video.of(job, self._engine)

    def _file(self, job: Job) -> Response:
        path = self._engine.result(job.id)
        headers = {'X-Video-Id': job.id, 'X-Video-Seed': str(job.seed)}
        return FileResponse(
            path,
            media_type='video/mp4',
            filename=f'{job.id}.mp4',
            content_disposition_type='inline',
            headers=headers,
        )

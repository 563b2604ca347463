"""The page: both steps, the gallery, and what happens when something is pressed."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool

from modelscope_i2v.errors import ModelScopeI2VError
from modelscope_i2v.generation.seeds import draw_seed
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.failures import failure
from modelscope_i2v.serving.page import fragments
from modelscope_i2v.serving.page.examples import NAMES as EXAMPLES
from modelscope_i2v.serving.page.examples import example, examples
from modelscope_i2v.serving.page.requests import submit
from modelscope_i2v.serving.page.session import Session
from modelscope_i2v.serving.page.step import Step, html
from modelscope_i2v.serving.page.texts import DEFAULT, NAMES, preferred, say
from modelscope_i2v.serving.page.views import Look, Views

logger = logging.getLogger(__name__)

#: Seconds between two looks at the jobs of a page.
POLL = 0.15
#: Where a browser remembers the jobs of its page, so that they are there after a reload.
_STORED = 'modelscope_i2v'
#: Where it remembers the language that was chosen, if one was.
_CHOSEN = 'modelscope_i2v.language'
#: Seconds between two looks for uploads that nobody needs any more, and their age then.
_UPLOADS = (600, 3600)

#: Tells the browser which language it shows.
_SPOKEN = '(code) => window.studio.speak(code)'

#: Components and what changes of them.
Updates = dict[Any, Any]


def build_page(engine: Engine) -> gr.Blocks:
    """The page of an engine."""
    with gr.Blocks(title='modelscope_i2v', analytics_enabled=False, delete_cache=_UPLOADS) as blocks:
        page = _Page(engine)
        page.connect(blocks)
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


def _updates(looks: dict[Any, Look]) -> Updates:
    return {component: gr.update(**look) for component, look in looks.items()}


def _nothing() -> Updates:
    skipped: Updates = gr.skip()
    return skipped


class _Page:
    """The components of the page, and the handlers that share them."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._views = engine, Views(engine)
        self._session = gr.State(Session())
        self._waiting = gr.Timer(POLL, active=False)  # ticks once if a page that is opened waits for jobs
        self._stored = gr.BrowserState([], storage_key=_STORED, secret=_STORED)
        self._chosen = gr.BrowserState('', storage_key=_CHOSEN, secret=_STORED)
        with gr.Row(elem_classes='top', equal_height=False):
            self._title = gr.HTML(
                fragments.title(DEFAULT, engine.limits.content), apply_default_css=False, elem_classes='title'
            )
            with gr.Row(elem_classes='switches'):
                choices = [(name, code) for code, name in NAMES.items()]
                self._language = gr.Radio(choices, value=DEFAULT, label=say(DEFAULT, 'language'), elem_id='language')
                self._theme = gr.Button(say(DEFAULT, 'theme'), size='sm', elem_id='theme')
        served = engine.catalogue.models
        kinds = {number: [model for model in served if model.takes_video == (number == 2)] for number in (1, 2)}
        self._steps = {number: Step(engine, number, models, DEFAULT) for number, models in kinds.items() if models}
        self._gallery_title = gr.HTML(self._gallery_heading(DEFAULT), apply_default_css=False)
        with gr.Column(elem_classes='card'):
            self._gallery = html(fragments.gallery([], DEFAULT))

    def connect(self, blocks: gr.Blocks) -> None:
        """Say what happens when."""
        long: Any = {'show_progress': 'hidden', 'api_visibility': 'private', 'concurrency_limit': None}
        # What is answered at once does not take Gradio's queue: a click while its stream closes got no answer.
        short: Any = {**long, 'queue': False}
        everything = self._everything()
        for step in self._steps.values():
            given = [self._session, *step.inputs]
            for button, again in ((step.make, False), (step.again, True)):
                button.click(self._maker(step, again), given, self._live(step), **long)
            step.cancel.click(self._canceller(step), [self._session], None, **short)
            dressed = [self._session, step.model, step.text]
            step.model.change(self._dresser(step, values=True), dressed, step.dressed, **short)
            step.text.blur(self._dresser(step, values=False), dressed, step.dressed, **short)
            for tile in step.tiles:
                tile.click(self._act, [self._session], everything, **short)
        if 1 in self._steps:
            self._steps[1].examples.click(self._act, [self._session], everything, **short)
        if 2 in self._steps:
            step = self._steps[2]
            step.file.change(self._choose, [self._session, step.file], [step.source], **short)
        self._gallery.click(self._act, [self._session], everything, **short)
        fields = [field for step in self._steps.values() for field in (step.model, step.text)]
        self._language.input(self._speak, [self._session, self._language, *fields], everything, **short)
        self._language.input(None, [self._language], [self._chosen], js='(code) => code', **short)
        self._language.change(None, [self._language], js=_SPOKEN, **short)
        self._theme.click(None, None, None, js='() => window.studio.toggleTheme()', **short)
        everything = [*everything, self._waiting]
        opened = blocks.load(self._restore, [self._session, self._stored, self._chosen, *fields], everything, **short)
        opened.then(None, [self._language], js=_SPOKEN, **short)
        self._waiting.tick(self._resume, [self._session], everything, **long)

    def _everything(self) -> list[Any]:
        own = [self._title, self._language, self._theme, self._gallery_title, self._gallery, self._stored]
        for step in self._steps.values():
            own += [*step.dressed, *self._live(step)]
            own += [step.examples, step.file] if step.number == 1 else []
        return list(dict.fromkeys(own))

    def _live(self, step: Step) -> list[Any]:
        """What changes while a step works."""
        others = [self._steps[2].source] if 2 in self._steps else []
        return [
            *step.tiles,
            step.sheet,
            step.make,
            step.again,
            step.cancel,
            step.seed,
            self._gallery,
            self._stored,
            *others,
        ]

    def _maker(self, step: Step, again: bool) -> Callable[..., AsyncIterator[Updates]]:
        async def make(session: Session, *values: Any) -> AsyncIterator[Updates]:
            wish = step.wish(session.source if step.number == 2 else None, values)
            if again:
                wish = dataclasses.replace(wish, seed=str(draw_seed()))
            session.errors[step.number], session.runs[step.number] = None, ()
            if wish.file is None and wish.source is None:
                session.errors[step.number] = 'no_picture' if step.number == 1 else 'no_video'
            else:
                yield {step.make: gr.update(interactive=False), **({step.seed: wish.seed} if again else {})}
                try:
                    session.runs[step.number] = await run_in_threadpool(submit, self._engine, wish)
                except Exception as error:  # whatever it is, the page says so in words
                    session.errors[step.number] = failure(error)
                    if not isinstance(error, ModelScopeI2VError):
                        logger.exception('A request of the page failed.')
                if step.number == 2 and wish.file is not None:
                    address = f'gradio_api/file={wish.file}'
                    session.uploads.update(dict.fromkeys(session.runs[step.number], address))
            async for update in self._follow(session, step):
                yield update

        return make

    async def _follow(self, session: Session, step: Step) -> AsyncIterator[Updates]:
        """What changes, until all jobs of a step are done."""
        seen: dict[Any, Look] = {}
        yield {self._stored: session.kept}
        while True:
            running, looks = self._views.running(session, step.number), self._looks(session, step)
            # Gradio ignores a click while the one before is not done, so the buttons come back at the very end.
            held = {} if running else {each: looks.pop(each) for each in (step.make, step.again, step.cancel)}
            changes = {component: look for component, look in looks.items() if seen.get(component) != look}
            if changes:
                yield _updates(changes)
            if not running:
                break
            seen = looks
            await asyncio.sleep(POLL)
        done = [job.id for job in self._views.jobs(session.runs[step.number]) if job.status == 'completed']
        for job_id in reversed(done):
            session.add(job_id)
        last = {**held, self._gallery: self._views.gallery(session)}
        last[step.sheet] = await run_in_threadpool(self._views.sheet, session, step.number)
        if done and step.number == 1:
            session.source = done[0]
            last.update(self._source_look(session))
        yield {**_updates(last), self._stored: session.kept}

    def _looks(self, session: Session, step: Step) -> dict[Any, Look]:
        tiles = self._views.tiles(session, step.number, len(step.tiles))
        buttons = self._views.buttons(session, step.number)
        return {
            **dict(zip(step.tiles, tiles, strict=True)),
            **dict(zip((step.make, step.again, step.cancel), buttons, strict=True)),
        }

    def _source_look(self, session: Session, own: bool = False) -> dict[Any, Look]:
        return {self._steps[2].source: self._views.source(session, own)} if 2 in self._steps else {}

    def _canceller(self, step: Step) -> Callable[[Session], None]:
        def cancel(session: Session) -> None:
            for job in self._views.jobs(session.runs[step.number]):
                self._engine.cancel(job.id)

        return cancel

    def _dresser(self, step: Step, *, values: bool) -> Callable[[Session, str | None, str | None], Updates]:
        def dress(session: Session, model: str | None, text: str | None) -> Updates:
            return step.updates(session.language, model, text or '', values=values)

        return dress

    def _choose(self, session: Session, file: str | None) -> Updates:
        return _updates(self._source_look(session, own=file is not None))

    def _act(self, session: Session, event: gr.EventData) -> Updates:
        """One of the buttons in our own HTML was pressed."""
        action, value = event.action, str(event.value)
        if action in ('seed-1', 'seed-2') and int(action[-1]) in self._steps and value.isdecimal():
            return {self._steps[int(action[-1])].seed: value}
        if action == 'example' and value in EXAMPLES and 1 in self._steps:
            return {self._steps[1].file: str(example(value))}
        job = self._views.job(value)
        if job is None:
            return _nothing()
        if action == 'enlarge':
            session.source = job.id
            return _updates(self._source_look(session))
        step = self._steps.get(self._views.step_of(job))
        if action != 'show' or step is None or self._views.running(session, step.number):
            return _nothing()
        session.errors[step.number], session.runs[step.number] = None, (job.id,)
        return _updates({**self._looks(session, step), step.sheet: {'value': '', 'visible': False}})

    def _speak(self, session: Session, language: str, *fields: Any) -> Updates:
        """Everything in another language."""
        session.language = language if language in NAMES else DEFAULT
        updates: Updates = {
            self._title: gr.update(value=fragments.title(session.language, self._engine.limits.content)),
            self._theme: gr.update(value=say(session.language, 'theme')),
            self._language: gr.update(label=say(session.language, 'language'), value=session.language),
            self._gallery_title: gr.update(value=self._gallery_heading(session.language)),
            self._gallery: gr.update(**self._views.gallery(session)),
        }
        pairs = zip(fields[::2], fields[1::2], strict=True)
        for step, (model, text) in zip(self._steps.values(), pairs, strict=True):
            updates.update(step.updates(session.language, model, text or ''))
            for component, look in self._looks(session, step).items():
                updates[component] = {**updates.get(component, {}), **gr.update(**look)}
            updates[step.sheet] = gr.update(**self._views.sheet(session, step.number))
        updates.update(_updates(self._source_look(session)))
        if 1 in self._steps:
            updates[self._steps[1].examples] = gr.update(value=examples(session.language))
        return updates

    def _restore(self, session: Session, stored: Any, chosen: Any, request: gr.Request, *fields: Any) -> Updates:
        """A page is opened.

        It speaks the language that was chosen in this browser, or that of the browser, and shows what was made in it or
        is still waited for.
        """
        ids = [each for each in stored if isinstance(each, str)] if isinstance(stored, list) else []
        known = sorted(self._views.jobs(ids), key=lambda job: job.created_at, reverse=True)
        done = [job for job in known if job.status == 'completed']
        session.made = [job.id for job in done]
        session.source = next((job.id for job in done if self._views.step_of(job) == 1), None)
        for number, step in self._steps.items():
            waited = [job.id for job in known if not job.is_finished and self._views.step_of(job) == number]
            session.runs[number] = tuple(waited[: len(step.tiles)][::-1])
        own = preferred(request.headers.get('accept-language'))
        looks = self._speak(session, chosen if isinstance(chosen, str) and chosen in NAMES else own, *fields)
        return {**looks, self._waiting: gr.update(active=any(session.runs.values()))}

    async def _resume(self, session: Session) -> AsyncIterator[Updates]:
        """Show what an opened page still waits for."""
        yield {self._waiting: gr.update(active=False)}
        for step in self._steps.values():
            if session.runs[step.number]:
                async for update in self._follow(session, step):
                    yield update

    def _gallery_heading(self, language: str) -> str:
        return f'<h2 id="gallery">{say(language, "gallery")}</h2>'

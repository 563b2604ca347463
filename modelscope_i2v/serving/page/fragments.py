"""Pieces of the page as HTML: a job while it waits, runs, is done or has failed; the source of step 2; the gallery."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from html import escape

from modelscope_i2v.serving.jobs import CANCELLED, Job
from modelscope_i2v.serving.models import Catalogue
from modelscope_i2v.serving.page.recipes import command_line, python
from modelscope_i2v.serving.page.texts import say
from modelscope_i2v.serving.page.texts.errors import explained


def content(job_id: str, variant: str = 'video') -> str:
    """The address of a video, or of a picture of it, relative to the page."""
    query = '' if variant == 'video' else f'?variant={variant}'
    return f'v1/videos/{escape(job_id)}/content{query}'


def empty(language: str, step: int) -> str:
    """What is there before anything was made."""
    key = 'waiting_here' if step == 1 else 'waiting_there'
    return f'<div class="tile empty"><p>{escape(say(language, key))}</p></div>'


def trouble(language: str, message: str, heading: str = 'failed') -> str:
    """A message in words."""
    return (
        f'<div class="tile trouble {heading}" role="alert"><strong>{escape(say(language, heading))}</strong>'
        f'<p>{escape(message)}</p></div>'
    )


def tile(job: Job, number: int, place: int | None, language: str, catalogue: Catalogue, before: str | None) -> str:
    """A job.

    Args:
        number: which of the run's jobs it is, from 1.
        place: how many jobs are before it in the queue.
        before: the address of the video that this one was made from, to compare both.
    """
    if job.status == 'completed':
        return _result(job, number, language, catalogue, before)
    if job.error is not None:
        if job.error.code == CANCELLED:
            return trouble(language, say(language, 'cancelled_hint'), 'cancelled')
        return trouble(language, explained(language, job.error))
    return _progress(job, number, place, language)


def _progress(job: Job, number: int, place: int | None, language: str) -> str:
    now, details = job.progress, []
    if job.status == 'queued':
        phase = say(language, 'queued', count=place) if place else say(language, 'queued_next')
    else:
        phase = say(language, now.phase if now is not None else 'loading')
    if now is not None and now.steps:
        details.append(say(language, 'step_of', step=now.step, steps=now.steps))
    if now is not None and now.seconds_left is not None and now.phase == 'sampling':
        details.append(say(language, 'seconds_left', seconds=max(1, math.ceil(now.seconds_left))))
    ratio = f'style="--ratio:{job.width / job.height:.4g}"'
    picture = f'<div class="screen blank" {ratio}></div>'
    if now is not None and now.preview is not None:
        data = base64.b64encode(now.preview).decode()
        alt = escape(say(language, 'preview', number=number))
        image = f'<img class="preview" alt="{alt}" src="data:image/webp;base64,{data}">'
        picture = f'<div class="screen" {ratio}>{image}</div>'
    label = escape(say(language, 'progress', number=number))
    separated = ' · '.join(details)
    return (
        f'<article class="tile running" data-state="{job.status}" data-job="{job.id}">{picture}'
        f'<div class="line"><span role="status">{escape(phase)}</span><span class="details">{escape(separated)}</span>'
        f'</div><div class="bar" role="progressbar" aria-label="{label}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{job.percent}"><i style="width:{job.percent}%"></i></div></article>'
    )


def _result(job: Job, number: int, language: str, catalogue: Catalogue, before: str | None) -> str:
    seed = say(language, 'seed_was', seed=job.seed)
    facts = say(language, 'facts', width=job.width, height=job.height, frames=job.frames, seconds=f'{job.seconds:.3g}')
    name = escape(say(language, 'result', number=number, seed=seed))
    larger = any(model.takes_video for model in catalogue.models)
    is_larger = any(model.takes_video for model in catalogue.models if model.name == job.model)
    actions = [
        f'<a class="action" href="{content(job.id)}" download="{job.id}.mp4">{escape(say(language, "download"))}</a>'
    ]
    if larger and not is_larger:
        actions.append(_action('enlarge', job.id, say(language, 'enlarge')))
    actions.append(_action('seed-2' if is_larger else 'seed-1', str(job.seed), say(language, 'keep_seed')))
    return (
        f'<article class="tile done" data-state="completed" data-job="{job.id}">{_screen(job, name, language, before)}'
        f'<p class="facts"><span>{escape(facts)}</span><span>{escape(seed)}</span></p>'
        f'<div class="actions">{"".join(actions)}</div>{_recipe(job, language, catalogue)}</article>'
    )


def _screen(job: Job, name: str, language: str, before: str | None) -> str:
    playing = 'loop muted autoplay playsinline'
    ratio = f'style="--ratio:{job.width / job.height:.4g}"'
    video = f'<video controls {playing} src="{content(job.id)}" aria-label="{name}"></video>'
    if before is None:
        return f'<div class="screen" {ratio}>{video}</div>'
    label, first, second, play, pause = (
        escape(say(language, key)) for key in ('compare', 'before', 'after', 'play', 'pause')
    )
    return (
        f'<div class="compare" style="--at:50%"><div class="screen" {ratio}>'
        f'<video class="after" {playing} src="{content(job.id)}" aria-label="{name}"></video>'
        f'<video class="before" {playing} src="{escape(before)}" aria-label="{first}"></video>'
        f'<span class="tag left">{first}</span><span class="tag right">{second}</span><i class="edge"></i></div>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{label}"><div class="actions">'
        f'<button type="button" class="action" data-play="{play}" data-pause="{pause}">{play}</button></div></div>'
    )


def _action(action: str, value: str, text: str) -> str:
    return (
        f'<button type="button" class="action" data-action="{action}" data-value="{escape(value)}">'
        f'{escape(text)}</button>'
    )


def _recipe(job: Job, language: str, catalogue: Catalogue) -> str:
    if not job.recipe:
        return ''
    blocks = (('recipe_command', command_line), ('recipe_python', python))
    copy, copied = (escape(say(language, key)) for key in ('copy', 'copied'))
    parts = ''.join(
        f'<div class="code"><div class="line"><span>{escape(say(language, key))}</span>'
        f'<button type="button" class="action" data-copy data-copied="{copied}">{copy}</button></div>'
        f'<pre tabindex="0"><code>{escape(write(job.recipe, catalogue))}</code></pre></div>'
        for key, write in blocks
    )
    return f'<details class="recipe"><summary>{escape(say(language, "recipe"))}</summary>{parts}</details>'


def sheet(picture: bytes, language: str) -> str:
    """The contact sheet of several videos, a JPEG."""
    data = f'data:image/jpeg;base64,{base64.b64encode(picture).decode()}'
    text, link = escape(say(language, 'sheet')), escape(say(language, 'sheet_download'))
    return (
        f'<figure class="sheet"><img src="{data}" alt="{text}"><figcaption class="line"><span>{text}</span>'
        f'<a class="action" href="{data}" download="variations.jpg">{link}</a></figcaption></figure>'
    )


def source(job: Job | None, own: bool, language: str) -> str:
    """Which video step 2 makes larger."""
    if own:
        return f'<p class="source">{escape(say(language, "source_own"))}</p>'
    if job is None:
        return f'<p class="source none">{escape(say(language, "source_none"))}</p>'
    seed = escape(say(language, 'seed_was', seed=job.seed))
    return (
        f'<div class="source" data-job="{job.id}"><img alt="" src="{content(job.id, "thumbnail")}">'
        f'<p>{escape(say(language, "source"))}<br><small>{job.width} × {job.height} · {seed}</small></p></div>'
    )


def gallery(jobs: Sequence[Job], language: str) -> str:
    """The videos of a session."""
    if not jobs:
        return f'<p class="none">{escape(say(language, "gallery_empty"))}</p>'
    items = ''.join(
        f'<button type="button" data-action="show" data-value="{job.id}" aria-label="{_shown(job, language)}">'
        f'<img alt="" loading="lazy" src="{content(job.id, "thumbnail")}"><small>{job.width} × {job.height}</small>'
        '</button>'
        for job in jobs
    )
    return f'<div class="gallery">{items}</div>'


def _shown(job: Job, language: str) -> str:
    return escape(say(language, 'gallery_show', seed=job.seed, width=job.width, height=job.height))


def heading(language: str, step: int) -> str:
    """The heading of a step."""
    return f'<h2 id="step-{step}"><span aria-hidden="true">{step}</span>{escape(say(language, f"step_{step}"))}</h2>'


def title(language: str, most_bytes: int) -> str:
    """The heading of the page, and what its script says of files with more than ``most_bytes``."""
    too_large = escape(say(language, 'too_large', size=f'{most_bytes / 2**20:.3g}'))
    return (
        f'<h1>{escape(say(language, "title"))}</h1><p>{escape(say(language, "tagline"))} '
        f'<a href="docs">{escape(say(language, "api"))}</a></p>'
        f'<i hidden id="most-bytes" data-count="{most_bytes}" data-said="{too_large}"></i>'
    )

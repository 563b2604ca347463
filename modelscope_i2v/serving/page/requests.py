"""From what a step of the page has to requests for the engine, and to their jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelscope_i2v.errors import InputError, shown
from modelscope_i2v.generation.seeds import draw_seed
from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.jobs import VideoRequest
from modelscope_i2v.serving.page.options import changed
from modelscope_i2v.serving.page.sizes import OWN, size_arguments


@dataclass(frozen=True)
class Wish:
    """What somebody chose in a step.

    Attributes:
        file: the picture or video that was sent; None: the video of the job ``source``.
        seed: of the first variation, as it was typed; empty: any.
        size: the name of one; None: the model's own.
        options: values by the names of arguments.
    """

    file: str | None
    source: str | None
    model: str
    text: str
    seed: str
    size: str | None
    variations: int
    options: Mapping[str, Any]


def submit(engine: Engine, wish: Wish) -> tuple[str, ...]:
    """Put a job for each variation into the queue, all of them or none; returns their ids.

    Raises:
        ModelScopeI2VError, TypeError: as :meth:`Engine.submit`.
    """
    model = engine.catalogue.named(wish.model)
    call = {**size_arguments(model, wish.size or OWN), **changed(model, wish.options)}
    first, source = _seed(wish.seed), wish.source if wish.file is None else None
    content = None if wish.file is None else _bytes(wish.file, engine.limits.content)
    ids: list[str] = []
    try:
        for number in range(wish.variations):
            request = VideoRequest(
                content=content,
                source=source,
                model=model.name,
                prompt=wish.text.strip(),
                arguments={**call, 'seed': first + number},
                preview=True,
            )
            ids.append(engine.submit(request).id)
    except BaseException:
        for job_id in ids:
            engine.cancel(job_id)
        raise
    return tuple(ids)


def _seed(typed: str) -> int:
    if not typed:
        return draw_seed()
    try:
        return int(typed)
    except ValueError as error:
        raise InputError(f"'seed' must be a whole number, found {shown(typed)}.") from error


def _bytes(file: str, limit: int) -> bytes:
    """At most a little more than the limit, for the engine to refuse."""
    try:
        with Path(file).open('rb') as stream:
            return stream.read(limit + 1)
    except OSError as error:
        raise InputError('The file is gone. Choose it again.') from error

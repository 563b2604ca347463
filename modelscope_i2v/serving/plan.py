"""From a request to what the worker will do: which models, which arguments, how large a video.

Everything that can be refused is refused here, while whoever asks is still listening.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import models_with_text
from modelscope_i2v.generation.arguments import GenerationArguments, merge_arguments
from modelscope_i2v.generation.chain_arguments import split_arguments
from modelscope_i2v.generation.seeds import draw_seed
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.serving.arguments import arguments_of, converted
from modelscope_i2v.serving.jobs import TooLargeError, UnreadableError, VideoRequest
from modelscope_i2v.serving.limits import Limits
from modelscope_i2v.serving.models import Catalogue, ServedModel


@dataclass(frozen=True)
class Share:
    """One stage of a plan: a model, the arguments of its call, and the size of its video once that is known."""

    model: ServedModel
    call: Mapping[str, Any]
    size: VideoSize | None = None

    @property
    def arguments(self) -> GenerationArguments:
        """All arguments of the call, with the model's defaults."""
        folder = self.model.snapshot.folder
        return merge_arguments(folder.stage.arguments, folder.call_defaults(), self.call)


@dataclass(frozen=True)
class Plan:
    """What a worker will do, and the video that comes out.

    Attributes:
        shares: one per stage.
        content: the picture or video: its bytes, or the file of a result.
        fps: frames per second of the file.
        preview: whether somebody wants to see it while it is sampled.
    """

    shares: tuple[Share, ...]
    content: bytes | Path
    seed: int
    width: int
    height: int
    frames: int
    fps: float
    preview: bool = False

    def open(self) -> Any:
        """The opened picture or video, which takes much more memory than its file; raises UnreadableError."""
        return _open(self.shares[0], self.content)


def plan(request: VideoRequest, catalogue: Catalogue, limits: Limits, source: Path | None = None) -> Plan:
    """Check a request and decide what to do.

    Args:
        source: the video file of the job that the request names.

    Raises:
        UnknownModelError, TooLargeError, UnreadableError: for what their names say. InputError, TypeError: for an
            argument that cannot be used, or is beyond the limits.
    """
    _check_content(request, limits)
    models = _models(request, catalogue, is_video=source is not None)
    shares = _shares(request, models, catalogue, limits)
    content: Any = request.content if source is None else source
    opened = _open(shares[0], content)
    shares = [_within_seconds(shares[0], request, opened, shares[-1]), *shares[1:]]
    given, size, fps = InputSize.of(opened), VideoSize(1, 1, 1), None
    _check_aspect(given, limits)
    for index, share in enumerate(shares):
        size = _size(share, given, limits)
        shares[index] = dataclasses.replace(share, size=size)
        fps = share.arguments.output_fps or fps or getattr(opened, 'fps', None) or _model_fps(share)
        frames = size.frames or 1
        given = InputSize(size.width / size.height, lambda most, frames=frames: min(most, frames))  # type: ignore[misc]
    seed = int(shares[-1].call['seed'])
    shown = float(fps or 1)
    return Plan(tuple(shares), content, seed, size.width, size.height, size.frames or 1, shown, request.preview)


def _open(share: Share, content: bytes | Path) -> Any:
    options = {'background': share.call['background']} if 'background' in share.call else {}
    try:
        return share.model.stage.verb.open_input(content, **options)
    except InputError as error:
        raise UnreadableError(str(error)) from error


def _check_content(request: VideoRequest, limits: Limits) -> None:
    if request.content is not None and len(request.content) > limits.content:
        raise TooLargeError(
            f'The picture or video has {len(request.content):,} bytes; at most {limits.content:,} are taken. Send a '
            'smaller file.'
        )
    texts = {'prompt': request.prompt, **request.arguments}
    for name, value in texts.items():
        if isinstance(value, str) and len(value) > limits.text:
            raise InputError(
                f"'{name[:50]}' has {len(value):,} characters; at most {limits.text:,} are taken. Shorten it."
            )


def _check_aspect(given: InputSize | None, limits: Limits) -> None:
    aspect = 1.0 if given is None else max(given.aspect, 1 / given.aspect)
    if aspect > limits.aspect:
        raise UnreadableError(
            f'The longer side of the picture or video is {math.ceil(10 * aspect) / 10:,g} times as long as the shorter '
            f'one; at most {limits.aspect:g} times is taken here. Cut out the part that matters.'
        )


def _models(request: VideoRequest, catalogue: Catalogue, *, is_video: bool) -> list[ServedModel]:
    model = (
        catalogue.default(for_video=is_video)
        if request.model is None or request.model == ''
        else catalogue.named(request.model)
    )
    if is_video and not model.takes_video:
        other = catalogue.default(for_video=True)
        raise InputError(
            f"The model {model.name!r} takes pictures, but 'source_video_id' names a video. Use {other.name!r}."
        )
    return [model] if request.stages == 1 else [model, catalogue.after(model)]


def _shares(request: VideoRequest, models: list[ServedModel], catalogue: Catalogue, limits: Limits) -> list[Share]:
    stages = [model.stage for model in models]
    given = {**request.arguments, **_text(request, models, catalogue)}
    values = converted(given, arguments_of(stages), ' and '.join(repr(model.name) for model in models))
    seed = values.pop('seed', None)
    own = [values.pop(f'stage{number}_seed', None) for number in (1, 2)] if len(models) > 1 else [None]
    calls = [values] if len(models) == 1 else [share.call for share in split_arguments(stages[0], stages[1], values)]
    drawn, shares = draw_seed(), []
    for model, call, own_seed in zip(models, calls, own, strict=True):
        wanted = seed if own_seed is None else own_seed
        seeded = Share(model, call if wanted is None else {**call, 'seed': wanted})
        arguments = seeded.arguments
        model.snapshot.folder.configuration.check_call(arguments)
        if int(arguments.steps or 0) > limits.steps:
            raise InputError(f"'steps' must be at most {limits.steps} here, found {arguments.steps}.")
        chosen = drawn if arguments.seed is None else arguments.seed
        shares.append(Share(model, {**call, 'seed': chosen}))
    return shares


def _text(request: VideoRequest, models: list[ServedModel], catalogue: Catalogue) -> dict[str, Any]:
    if not request.prompt:
        # An empty text says nothing, so it is fine for every model.
        return {'text': None} if request.arguments.get('text') == '' else {}
    if request.arguments.get('text'):
        raise InputError("'prompt' and 'text' are the same thing. Give one of them.")
    if not any(model.takes_text for model in models):
        others = [model.name for model in catalogue.models if model.takes_text]
        advice = f'{others[0]!r} takes one' if others else models_with_text().rstrip('.')
        raise InputError(f"The model {models[0].name!r} takes no text, so 'prompt' must be empty. {advice}.")
    return {'text': request.prompt}


def _within_seconds(share: Share, request: VideoRequest, opened: Any, last: Share) -> Share:
    """``share`` with as many frames as the wanted length has."""
    if request.seconds is None:
        return share
    if share.call.get('num_frames') is not None:
        raise InputError("'seconds' and 'num_frames' both set the length. Give one of them.")
    asked = last.call.get('output_fps') or share.arguments.output_fps
    fps = getattr(opened, 'fps', None) or asked or _model_fps(share)
    return dataclasses.replace(
        share, call={**share.call, 'num_frames': max(1, math.floor(request.seconds * fps + 0.5))}
    )


def _model_fps(share: Share) -> float:
    return float(share.model.snapshot.folder.configuration.target_fps)


def _size(share: Share, given: InputSize | None, limits: Limits) -> VideoSize:
    """The size of a stage's video, within the limits."""
    size = share.model.snapshot.folder.configuration.video_size(share.arguments, given)
    if size.frames is None and given is not None:
        size = dataclasses.replace(size, frames=given.count(limits.frames + 1))
    if size.frames is not None and size.frames > limits.frames:
        raise InputError(
            f'The video would have more frames than the {limits.frames} that are made here. Ask for fewer with '
            "'num_frames' or 'seconds'."
        )
    if size.pixels > limits.pixels:
        raise InputError(
            f'A frame would have {size.pixels:,} pixels ({size.width} x {size.height}); at most {limits.pixels:,} are '
            "made here. Ask for a smaller 'size'."
        )
    return size

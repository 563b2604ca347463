"""Both stages: a picture becomes a video, which becomes a sharper one.

Stage 1's frames stay in memory instead of passing through a lossy file. Stage 1 is freed before stage 2 is loaded, so
that both stages keep within one limit. If the caller has loaded stage 1, it stays, and stage 2 shares its autoencoder
where that has the same weights and does not move.
"""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelscope_i2v.checks import text as check_text
from modelscope_i2v.embedded import embedded_stage
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.generation.chain_arguments import LOADING_BOTH, split_arguments
from modelscope_i2v.generation.chain_link import Link, Model
from modelscope_i2v.generation.early_checks import check_arguments
from modelscope_i2v.generation.finite import repeated_entry
from modelscope_i2v.generation.load import find_model, is_folder, is_hub_id
from modelscope_i2v.generation.pipeline import GenerationPipeline
from modelscope_i2v.generation.recipe import EMBEDDED
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.hub.snapshots import Snapshot
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.media.reading.open import VideoSource, open_video
from modelscope_i2v.media.writing.write import check_output, write_video
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.stage import Stage, first_stage, stage_of


@dataclass(frozen=True)
class Take:
    """One of several videos that the same models make of the same picture: seeds, and where files go."""

    stage1_seed: int | None = None
    stage2_seed: int | None = None
    output_video: str | os.PathLike[str] | None = None
    keep_stage1: str | os.PathLike[str] | None = None

    def call(self, number: int) -> dict[str, Any]:
        """What it adds to the call of stage ``number``."""
        seed = (self.stage1_seed, self.stage2_seed)[number - 1]
        written = {'output_video': self.output_video} if number == 2 and self.output_video is not None else {}
        return {**({} if seed is None else {'seed': seed}), **written}


def chain(
    image: Any,
    *,
    text: str = '',
    stage1: Model = None,
    stage2: Model = None,
    stage1_seed: int | None = None,
    stage2_seed: int | None = None,
    output_video: str | os.PathLike[str] | None = None,
    keep_stage1: str | os.PathLike[str] | None = None,
    offline: bool = False,
    **arguments: Any,
) -> dict[str, Any]:
    """Turn a picture into a video, then into a sharper one.

    >>> modelscope_i2v.chain('photo.jpg', text='a red fox', output_video='sharper.mp4')['output_video']
    'sharper.mp4'

    Args:
        image: any picture that stage 1 takes.
        text: what the video shows, for the stages that take a text.
        stage1, stage2: a model's folder, a hub id, or a loaded pipeline, which stays unchanged. None means the embedded
            model, or for ``stage2`` the counterpart of ``stage1``.
        stage1_seed, stage2_seed: the seed of each stage; ``seed`` sets both.
        output_video: path to write; None returns the MP4 as bytes.
        keep_stage1: path to write stage 1's video to.
        offline: use the cache only, never the network.
        **arguments: arguments of the two stages. A name that only one stage takes goes to that stage. ``num_frames``
            goes to stage 1; ``height``, ``width``, ``output_fps`` and ``output_type`` go to stage 2; ``steps``,
            ``seed``, ``text``, ``negative_prompt``, ``show_progress``, ``force``, ``background`` and
            ``callback_on_step_end`` go to both, as far as both take them. A prefix, ``stage1_`` or ``stage2_``
            (``stage1_solver``) sends a name to one stage. ``device``, ``dtype``, ``attention``, ``compile``,
            ``autoencoder_dtype``, ``memory`` and ``weights_dtype`` apply to both models; ``revision``, ``lora`` and
            ``lora_scale`` apply to stage 1. With a prefix, each of them applies to one model. Stage 2 uses the revision
            of stage 1 unless it gets its own.

    Returns:
        The result of stage 2 (``output_video``, ``seed``, ``model_revision``), with the result of stage 1 under
        ``'stage1'``. Its ``output_video`` is ``keep_stage1``, or uint8 RGB frames ``[F, H, W, 3]`` if that is None.

    Raises:
        TypeError: for an unknown argument. InputError, ConfigurationError, CheckpointError, DeviceError, OutputError:
            as in the stages. What can be checked early is checked before weights are downloaded or loaded.
    """
    seed = arguments.pop('seed', None)
    own = [seed if one is None else one for one in (stage1_seed, stage2_seed)]
    take = Take(own[0], own[1], output_video, keep_stage1)
    return chain_takes(image, [take], text=text, stage1=stage1, stage2=stage2, offline=offline, **arguments)[0]


def chain_takes(
    image: Any,
    takes: Sequence[Take],
    *,
    text: str = '',
    stage1: Model = None,
    stage2: Model = None,
    offline: bool = False,
    **arguments: Any,
) -> list[dict[str, Any]]:
    """One or more videos as :func:`chain` makes them, of different seeds. Each model is loaded once.

    Stage 1's frames of all of them stay in memory until stage 2 is loaded.

    Returns:
        A result of :func:`chain` for each of the ``takes``. Raises the same errors.
    """
    check_text('text', text, error=InputError)
    _check_model('stage1', stage1)
    _check_model('stage2', stage2)
    one_stage, one_found = _first_stage(stage1, stage2, arguments, offline=offline)
    other_stage = _next_stage(one_stage)
    shares = split_arguments(one_stage, other_stage, {**arguments, **({'text': text} if text else {})})
    first = Link(one_stage, stage1, shares[0], one_found)
    second = Link(other_stage, _second_model(first, stage2, other_stage), shares[1])
    if isinstance(second.model, (str, os.PathLike)) and not is_folder(second.model):
        second.loading.setdefault('revision', first.revision())
    _check_places(takes)
    for take in takes:
        check_arguments(first.stage, {**first.call, **take.call(1)})
        check_arguments(second.stage, {**second.call, **take.call(2)})
    first.call.update(takes[0].call(1))
    second.call.update(takes[0].call(2))
    executions = _executions(first, second)
    picture = load_image(image, first.arguments().background)
    # Find both before loading either: a typo in stage 2's name must not cost stage 1's time.
    found = [link.find(offline=offline) for link in (first, second)]
    between = first.check_room(found[0], executions[0], InputSize.of(picture))
    second.check_room(found[1], executions[1], between)
    folders = [snapshot.complete() if snapshot is not None else None for snapshot in found]
    lonely = next((execution for execution in executions if execution and execution.instead_of_gpu), None)
    if lonely is not None:
        lonely.announce()  # once for both
    one = first.load(folders[0], executions[0])
    low = [first_video(one, picture, {**first.call, **take.call(1)}, take.keep_stage1) for take in takes]
    kept = one.model if first.is_loaded else None
    del one
    if kept is None:
        gc.collect()
    two = second.load(folders[1], executions[1])
    if kept is not None and not second.is_loaded:
        two.model.share_autoencoder(kept)
    return [
        {**two(video, **{**second.call, **take.call(2)}), 'stage1': result}
        for take, (video, result) in zip(takes, low, strict=True)
    ]


def _check_model(name: str, model: Any) -> None:
    """Raise InputError unless ``model`` is something that can name or be a model."""
    if model is not None and not isinstance(model, (str, os.PathLike, GenerationPipeline)):
        raise InputError(f"'{name}' must be a folder, a hub id or a pipeline, found {type(model).__name__}.")


def _first_stage(
    stage1: Model, stage2: Model, arguments: Mapping[str, Any], *, offline: bool
) -> tuple[Stage, Snapshot | None]:
    """The stage of the first model, and the model's snapshot if it had to be found for that.

    Several stages may turn pictures into videos, and only the model's configuration says which it is.
    """
    default = first_stage()
    if isinstance(stage1, GenerationPipeline):
        return stage1.stage, None
    if stage1 is None:
        return embedded_stage(default.task) or default, None
    if not is_folder(stage1) and (stage2 is None or os.fspath(stage1) == default.default_hub_model):
        return default, None
    revision = arguments.get('stage1_revision') or arguments.get('revision')
    snapshot = find_model(stage1, revision, offline=offline)
    stage = snapshot.folder.stage
    return (stage, snapshot) if stage.task == default.task else (default, snapshot)


def _next_stage(first: Stage) -> Stage:
    if first.followed_by is None:
        raise InputError(f'No stage follows {first.task}: nothing can make its videos sharper. Use it without a chain.')
    return stage_of(first.followed_by)


def _second_model(first: Link, stage2: Model, second: Stage) -> Model:
    """Stage 2's model: the one that was named, else the counterpart of stage 1's."""
    if stage2 is not None or first.model is None:
        return stage2
    name = first.model_name()
    if name == EMBEDDED:
        return None
    if name == first.stage.default_hub_model:
        return second.default_hub_model
    if isinstance(first.model, (str, os.PathLike)) and (is_folder(first.model) or not is_hub_id(first.model)):
        find_model(first.model)  # if stage 1 is no model, say that; this needs no network
    raise ConfigurationError(
        f"'{name}' has no known counterpart for stage 2. Name one with 'stage2' (--stage2-model), for example "
        f'{second.default_hub_model}.'
    )


def _check_places(takes: Sequence[Take]) -> None:
    """Raise OutputError or InputError for files that cannot be written."""
    files = [path for take in takes for path in (take.output_video, take.keep_stage1) if path is not None]
    for path in files:
        check_output(path)
    for take in takes:
        output, keep = take.output_video, take.keep_stage1
        if output is not None and keep is not None and os.path.realpath(keep) == os.path.realpath(output):
            raise InputError(
                f"'keep_stage1' and 'output_video' are the same file, '{os.fsdecode(output)}'. Name two different "
                'files.'
            )


def _executions(first: Link, second: Link) -> tuple[Execution | None, Execution | None]:
    """Where each stage runs, None for a loaded one. If both run alike, that is looked up and warned about once."""
    one = None if first.is_loaded else first.execution()
    if second.is_loaded:
        return one, None
    same = all(first.loading.get(name) == second.loading.get(name) for name in LOADING_BOTH)
    return one, one if same and one is not None else second.execution()


def first_video(
    pipeline: Any, image: Any, call: dict[str, Any], keep: str | os.PathLike[str] | None
) -> tuple[VideoSource, dict[str, Any]]:
    """Stage 1's frames in memory, with the frame rate and the recipe that a file would contain, and its result."""
    resolved = pipeline.resolve_arguments(call)
    result = pipeline(image, output_type='np', **{**call, 'seed': resolved.seed})
    height, width = result['output_video'].shape[1:3]
    fps = float(resolved.output_fps)
    size = {'height': height, 'width': width}
    recipe = [{**pipeline.recipe(resolved), **size, **repeated_entry(result.get('repeated_in_float32', ()))}]
    low = dataclasses.replace(open_video(result['output_video']), fps=fps, recipe=recipe)
    if keep is not None:
        result['output_video'] = write_video((frame.pixels for frame in low.frames()), keep, fps=fps, recipe=recipe)
    return low, result

"""``chain``: a picture becomes a video, and that a sharper one.

Stage 1's frames stay in memory instead of passing through a lossy file, and stage 1 is gone before stage 2 is loaded:
only its autoencoder stays, which stage 2 shares if its own has the same weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelscope_i2v.cli.generate import find_model, load_stage, report
from modelscope_i2v.cli.options import (
    add_generation_options,
    add_lora_options,
    add_model_options,
    add_output_options,
    given,
)
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.generation.arguments import ImageToVideoArguments, VideoToVideoArguments
from modelscope_i2v.generation.early_checks import check_arguments, check_call
from modelscope_i2v.generation.load import is_folder
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, VIDEO_TO_VIDEO

if TYPE_CHECKING:
    from modelscope_i2v.media.reading.open import VideoSource

#: Options without a prefix: for both stages, for the first (what happens in the video), for the second (the result).
BOTH = ('seed', 'steps', 'show_progress')
FIRST = ('num_frames', 'fps', 'eta', 'noise_strength')
SECOND = ('text', 'negative_prompt', 'noise_level', 'solver_mode', 'window_overlap', 'height', 'width', 'output_fps')
#: Options that mean something else in each stage, with the prefix --stage1- or --stage2-; they win.
EACH = ('steps', 'solver', 'guidance_scale', 'guidance_rescale', 'guidance_min_timestep', 'timestep_spacing', 'fit')
LORA = ('lora', 'lora_scale')
EACH_FIRST = (*EACH, 'height', 'width')


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = subparsers.add_parser(
        'chain',
        help='turn a picture into a sharp video, both stages',
        description='Turn a picture into a video and make that sharper.',
    )
    parser.add_argument('image', metavar='IMAGE', help='path or URL of the picture')
    add_output_options(parser)
    parser.add_argument('--keep-stage1', metavar='FILE', help="write stage 1's video too")
    add_model_options(parser)
    parser.add_argument('--stage2-model', help='folder or hub id of stage 2 (default: the counterpart of --model)')
    parser.add_argument('--stage2-model-revision', help='revision of stage 2 (default: as --model-revision)')
    parser.add_argument('--stage2-device', help='another device for stage 2')
    add_lora_options(parser, prefix='stage2-')
    add_generation_options(parser, ImageToVideoArguments, ('seed', 'steps', *FIRST))
    add_generation_options(parser, VideoToVideoArguments, SECOND)
    add_generation_options(parser, ImageToVideoArguments, EACH_FIRST, prefix='stage1-')
    add_generation_options(parser, VideoToVideoArguments, EACH, prefix='stage2-')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Both stages, then report."""
    from modelscope_i2v.media.images.load import load_image
    from modelscope_i2v.media.writing.write import write_video

    first_call = {**given(arguments, *BOTH, *FIRST), **given(arguments, *EACH_FIRST, prefix='stage1_')}
    second_call = {**given(arguments, *BOTH, *SECOND), **given(arguments, *EACH, prefix='stage2_')}
    second_model = _second_model(arguments)
    _check_places(arguments)
    # All that can be found out beforehand is found out before downloads, minutes of loading, and stage 1.
    check_arguments(IMAGE_TO_VIDEO, first_call)
    check_arguments(VIDEO_TO_VIDEO, second_call)
    image = load_image(arguments.image)
    find_first = partial(find_model, arguments, IMAGE_TO_VIDEO, arguments.model, arguments.model_revision)
    find_second = partial(find_model, arguments, VIDEO_TO_VIDEO, *second_model, prefix='stage2-')
    check_call(find_first(configuration_only=True), IMAGE_TO_VIDEO, first_call, **given(arguments, *LORA))
    second_lora = given(arguments, *LORA, prefix='stage2_')
    check_call(find_second(configuration_only=True), VIDEO_TO_VIDEO, second_call, **second_lora)
    first_folder, second_folder = find_first(), find_second()
    first = load_stage(arguments, first_folder)
    low = _first_stage(first, image, first_call)
    if arguments.keep_stage1:
        frames = (frame.pixels for frame in low.frames())
        write_video(frames, arguments.keep_stage1, fps=float(low.fps or 0), recipe=low.recipe)
    autoencoder_owner = first.model
    autoencoder_owner.unet = autoencoder_owner.clip = None
    gc.collect()
    arguments.device = arguments.stage2_device or arguments.device
    arguments.lora, arguments.lora_scale = arguments.stage2_lora, arguments.stage2_lora_scale
    second = load_stage(arguments, second_folder)
    second.model.share_autoencoder(autoencoder_owner)
    report(arguments, second(low, output_video=arguments.output, **second_call))
    return 0


def _check_places(arguments: argparse.Namespace) -> None:
    """Resolve the devices; raise OutputError, InputError or DeviceError for those, or files, that cannot be used."""
    from modelscope_i2v.media.writing.write import check_output
    from modelscope_i2v.runtime.device import resolve_device

    if arguments.keep_stage1 and Path(arguments.keep_stage1).resolve() == Path(arguments.output).resolve():
        raise InputError(f"'--keep-stage1' and '--output' are the same file, '{arguments.output}'. Name two.")
    for path in filter(None, (arguments.output, arguments.keep_stage1)):
        check_output(path)
    for option in ('device', 'stage2_device'):
        if getattr(arguments, option) is not None:
            setattr(arguments, option, str(resolve_device(getattr(arguments, option))))


def _second_model(arguments: argparse.Namespace) -> tuple[str | None, str | None]:
    """Model and revision of stage 2: those that were named, else the counterpart of stage 1's."""
    revision = arguments.stage2_model_revision
    if arguments.stage2_model or not arguments.model:
        if arguments.stage2_model and not is_folder(arguments.stage2_model):
            revision = revision or arguments.model_revision
        return arguments.stage2_model, revision
    if arguments.model == IMAGE_TO_VIDEO.default_hub_model:
        return VIDEO_TO_VIDEO.default_hub_model, revision or arguments.model_revision
    raise ConfigurationError(
        f"'{arguments.model}' has no known counterpart for stage 2. Name one with --stage2-model, for example "
        f'{VIDEO_TO_VIDEO.default_hub_model}.'
    )


def _first_stage(pipeline: Any, image: Any, call: dict[str, Any]) -> VideoSource:
    """Stage 1's frames in memory, with the clock and the recipe that a file would carry."""
    from modelscope_i2v.media.reading.open import open_video

    resolved = pipeline.resolve_arguments(call)
    result = pipeline(image, output_type='np', **{**call, 'seed': resolved.seed})
    source = open_video(result['output_video'])
    return dataclasses.replace(source, fps=float(resolved.output_fps), recipe=[pipeline.recipe(resolved)])

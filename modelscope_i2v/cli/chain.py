"""``chain``: a picture becomes a video, which becomes a sharper one."""

from __future__ import annotations

import argparse
from typing import Any

from modelscope_i2v.cli.options import (
    add_call_options,
    add_loading_options,
    add_lora_options,
    add_output_options,
    given,
    known_options,
    option_names,
)
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.pictures import Preview, add_comparison_option, add_preview_option, check_outputs, compare
from modelscope_i2v.cli.takes import add_takes_option, takes_of
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import PREFIXES, TEXTS
from modelscope_i2v.generation.chain_arguments import BOTH, LOADING, LOADING_BOTH, PREFIXED, stage_names
from modelscope_i2v.stage import Stage, first_stage, stage_of, stages_of
from modelscope_i2v.terms import BACKENDS, PRECISIONS, RESTING_PRECISIONS

#: Options without a prefix that go to both stages.
SHARED = ('seed', 'speed', 'steps', 'background', 'force')


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    first, second = _stages()
    parser = add_verb(
        subparsers,
        'chain',
        usage='IMAGE -o OUT.mp4 [options]',
        summary='turn a picture into a sharp video with both stages',
        description='Turn a picture into a video, then sharpen it. The frames stay in memory between the stages.',
        examples=[
            'photo.jpg -o sharp.mp4 --text "a red fox in snow"',
            'photo.jpg -o sharp.mp4 --keep-stage1 video.mp4 --stage1-seed 1 --stage2-seed 2',
            'photo.jpg -o sharp.mp4 --seed 1,2,3 --preview sheet.png --compare side.mp4',
            f'photo.jpg -o sharp.mp4 --model {first.default_hub_model} --model-revision v1.1.0 --device cuda:0',
        ],
    )
    parser.add_argument('image', metavar='IMAGE', help='path or URL of the picture')
    add_output_options(parser)
    parser.add_argument(
        '--keep-stage1', metavar='FILE', help="also write stage 1's video to FILE (default: do not keep it)"
    )
    add_takes_option(parser)
    add_preview_option(parser)
    add_comparison_option(parser)
    both = parser.add_argument_group('both stages', 'A text goes to each stage whose model takes one.')
    add_loading_options(both)
    add_call_options(both, first.arguments, SHARED)
    add_call_options(both, second.arguments, TEXTS)
    _add_stage(parser, 1, first, '', stage_names(first, second)[0])
    _add_stage(parser, 2, second, 'stage2-', stage_names(first, second)[1])
    parser.set_defaults(run=run)


def _add_stage(parser: argparse.ArgumentParser, number: int, stage: Stage, model_prefix: str, bare: Any) -> None:
    """Add a group with all options of one stage."""
    group = parser.add_argument_group(f'stage {number}: {stage.task}')
    default = 'the embedded model, which needs no download' if number == 1 else 'the counterpart of --model'
    group.add_argument(f'--{model_prefix}model', help=f'model folder or hub id (default: {default})')
    default = "the hub's default branch" if number == 1 else 'same as --model-revision'
    group.add_argument(f'--{model_prefix}model-revision', help=f'revision on the hub (default: {default})')
    if number == 2:
        group.add_argument('--stage2-device', help='device for stage 2 (default: same as --device)')
        group.add_argument(
            '--stage2-dtype', choices=('auto', *PRECISIONS), help='precision of stage 2 (default: same as --dtype)'
        )
        group.add_argument(
            '--stage2-attention', choices=('auto', *BACKENDS), help='back end of stage 2 (default: same as --attention)'
        )
        group.add_argument(
            '--stage2-autoencoder-dtype',
            choices=PRECISIONS,
            help="precision of stage 2's autoencoder (default: same as --autoencoder-dtype)",
        )
        group.add_argument(
            '--stage2-weights-dtype',
            choices=RESTING_PRECISIONS,
            help="what stage 2's weights rest in (default: same as --weights-dtype)",
        )
        group.add_argument(
            '--stage2-memory', metavar='LEVEL', help='memory level of stage 2 (default: same as --memory)'
        )
    add_lora_options(group, prefix=model_prefix)
    names = option_names(stage.arguments)
    own = [name for name in names if name in bare and name not in (*SHARED, *TEXTS)]
    add_call_options(group, stage.arguments, own)
    wanted = {'seed', *PREFIXED} - (bare - set(BOTH))
    for each in stages_of(stage.task):  # a later generation may take more
        prefixed = [name for name in option_names(each.arguments) if name in wanted]
        add_call_options(group, each.arguments, prefixed, prefix=f'stage{number}-')
        wanted -= set(prefixed)


def run(arguments: argparse.Namespace) -> int:
    """Run both stages, then report."""
    from modelscope_i2v.generation.chain import Take, chain_takes
    from modelscope_i2v.media.images.load import load_image

    first, second = _stages()
    for prefix in ('', 'stage2_'):
        if getattr(arguments, f'{prefix}model_revision') and not (arguments.model or arguments.stage2_model):
            option = f'{prefix}model'.replace('_', '-')
            raise InputError(f"'--{option}-revision' needs '--{option}': the embedded model has no revisions.")
    own = arguments.stage1_seed, arguments.stage2_seed
    files = takes_of(arguments)
    if len(files) > 1 and None not in own:
        raise InputError(
            "'--stage1-seed' and '--stage2-seed' decide everything, so several seeds would give the same video. Leave "
            'one of the two out.'
        )
    check_outputs(arguments, arguments.image, files)
    takes = [
        Take(
            stage1_seed=file.seed if own[0] is None else own[0],
            stage2_seed=file.seed if own[1] is None else own[1],
            output_video=file.file(arguments.output),
            keep_stage1=file.file(arguments.keep_stage1),
        )
        for file in files
    ]
    names = stage_names(first, second)
    call = given(arguments, *(name for name in SHARED if name != 'seed'), 'show_progress', *names[0], *names[1])
    for prefix in PREFIXES:
        call.update(given(arguments, *PREFIXED, *LOADING, prefix=prefix))
    image = arguments.image
    if arguments.preview is not None:
        image = load_image(image, **given(arguments, 'background'))
    preview = None if arguments.preview is None else Preview(image)
    with known_options():
        results = chain_takes(
            image,
            takes,
            stage1=arguments.model,
            stage2=arguments.stage2_model,
            offline=arguments.offline,
            revision=arguments.model_revision,
            stage2_revision=arguments.stage2_model_revision,
            **given(arguments, *LOADING_BOTH, 'lora', 'lora_scale'),
            **call,
        )
    for file, result in zip(files, results, strict=True):
        low, video = result['stage1'], result['output_video']
        if arguments.compare is not None:
            compare(low['output_video'], video, str(file.file(arguments.compare)))
        if preview is not None:
            preview.add(video)
        low['output_video'] = file.file(arguments.keep_stage1)
        if not arguments.json:
            say(f'{video}  (--stage1-seed {low["seed"]} --stage2-seed {result["seed"]})')
    if preview is not None:
        preview.save(arguments.preview)
    if arguments.json:
        say_json(results if len(results) > 1 else results[0])
    return 0


def _stages() -> tuple[Stage, Stage]:
    """The first stage, and the one that follows it."""
    first = first_stage()
    return first, stage_of(str(first.followed_by))

"""``estimate``: what a call will need, before anything is downloaded or loaded."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from modelscope_i2v.cli.options import (
    add_call_options,
    add_json_option,
    add_offline_option,
    add_revision_option,
    add_weights_dtype_option,
    given,
    known_options,
    option_names,
)
from modelscope_i2v.cli.parser import add_verb
from modelscope_i2v.cli.sizes import size_on_disk
from modelscope_i2v.cli.terminal import say, say_json
from modelscope_i2v.stage import stages
from modelscope_i2v.terms import MEMORY_LEVELS, PRECISIONS

if TYPE_CHECKING:
    from modelscope_i2v.generation.call_estimate import CallEstimate, LevelEstimate

#: The arguments of a call that decide what it needs.
DECIDING = (
    'num_frames', 'height', 'width', 'speed', 'steps', 'guidance_scale', 'guidance_min_timestep',
    'guidance_max_timestep', 'cache_interval', 'image_strength', 'noise_level', 'solver_mode', 'window_overlap',
)  # fmt: skip
#: Further ones, whose values differ between stages.
CHOSEN = {'solver': 'sampling method', 'timestep_spacing': 'which timesteps the solver visits'}
#: What the phases compute, in the order of a call.
PHASES = ('encode', 'condition', 'sample', 'decode')


def register(subparsers: Any) -> None:
    """Add the verb to a parser."""
    parser = add_verb(
        subparsers,
        'estimate',
        usage='MODEL [options]',
        summary='say what a call will need: memory, operations, time',
        description='Say what a call will need on a GPU, at each memory level: memory, operations, time. It takes '
        'about ten seconds on a CPU, and needs neither a GPU nor weights.',
        examples=[
            'damo/Video-to-Video --memory 6GB',
            'damo/Image-to-Video --num-frames 64 --height 320 --width 576 --speed balanced --rate 50T',
            'i2vgen-xl --json',
        ],
    )
    names = ', '.join(stage.name for stage in stages())
    parser.add_argument(
        'model',
        metavar='MODEL',
        help=f'model folder, hub id, or one of {names}; of the published models, nothing is downloaded',
    )
    add_revision_option(parser)
    add_offline_option(parser)
    parser.add_argument(
        '--rate',
        metavar='RATE',
        help='say the time at this many floating-point operations per second, such as 50T, or at the measured rate of '
        'this machine: measured (default: no times)',
    )
    parser.add_argument('--dtype', choices=PRECISIONS, default='fp16', help='precision of the networks (default: fp16)')
    parser.add_argument(
        '--autoencoder-dtype', choices=PRECISIONS, default='fp32', help='precision of the autoencoder (default: fp32)'
    )
    add_weights_dtype_option(parser)
    parser.add_argument(
        '--memory',
        metavar='LEVEL',
        default='auto',
        help=f'mark the memory level that this gets: {", ".join(MEMORY_LEVELS)}, or a limit such as 6GB '
        '(default: auto, which depends on the card)',
    )
    add_json_option(parser)
    group, known = parser.add_argument_group('call'), set[str]()
    for name, what in CHOSEN.items():
        group.add_argument(f'--{name.replace("_", "-")}', metavar='NAME', help=f"{what} (default: the model's)")
    for stage in stages():
        own = [name for name in option_names(stage.arguments) if name in DECIDING and name not in known]
        add_call_options(group, stage.arguments, own)
        known.update(own)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Estimate and report."""
    from modelscope_i2v.generation.call_estimate import estimate

    with known_options():
        found = estimate(
            arguments.model,
            arguments.model_revision,
            offline=arguments.offline,
            **given(arguments, 'rate', 'dtype', 'autoencoder_dtype', 'memory', 'weights_dtype', *DECIDING, *CHOSEN),
        )
    if arguments.json:
        say_json(found.as_dict())
    else:
        _print(found)
    return 0


def _print(found: CallEstimate) -> None:
    from modelscope_i2v.generation.memory_check import in_gib

    resting = f', weights in {found.weights_dtype}' if found.weights_dtype else ''
    say(
        f'{found.model}: {found.frames} frames of {found.width}x{found.height}, {found.dtype}{resting}, '
        f'{found.steps} steps, '
        f'{found.passes.whole + found.passes.outer} passes of the UNet'
    )
    files = '' if found.files is None else f'; {size_on_disk(found.files)} of files'
    say(f'weights: {in_gib(found.weights.total)}{files}; converted to half precision {size_on_disk(found.converted)}')
    say('')
    head = ['memory', *PHASES, 'GPU', 'main memory', 'TFLOP', *(['time'] if found.rate else [])]
    rows = [head, *(_row(level, found) for level in found.levels)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say('  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say('')
    if found.rate:
        say(f'Times are at {found.rate / 1e12:.3g} TFLOP/s, with weights that cross PCIe 4.0.')
    if found.chosen:
        say(f'* is the level that the call gets. {found.advice}')
    else:
        say(f"{found.advice} The default, memory='auto', does so by itself.")


def _row(level: LevelEstimate, found: CallEstimate) -> list[str]:
    from modelscope_i2v.generation.memory_check import in_gib

    needed = {phase.name: in_gib(phase.total) for phase in level.phases}
    return [
        f'{level.level}{" *" if level.level == found.chosen else ""}',
        *(needed.get(name, '-') for name in PHASES),
        in_gib(level.device),
        in_gib(level.main) if level.main else '-',
        f'{level.operations / 1e12:,.{0 if level.operations >= 1e13 else 3}f}',
        *([] if level.seconds is None else [_duration(level.seconds)]),
    ]


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f'{seconds:.1f} s'
    minutes = seconds / 60
    return f'{minutes:.1f} min' if minutes < 60 else f'{minutes / 60:.1f} h'

"""Options of the verbs that generate, derived from the dataclass of a stage's arguments."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from typing import Any

from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.networks.attention import BACKENDS
from modelscope_i2v.runtime.device import DTYPES

PIPELINE_OPTIONS = ('device', 'dtype', 'attention', 'lora', 'lora_scale')


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model, and where and how it runs."""
    group = parser.add_argument_group('model')
    group.add_argument('--model', help="a model's folder or a hub id (default: the embedded model, no download)")
    group.add_argument('--model-revision', help='revision of a hub id, for example v1.1.0')
    group.add_argument('--offline', action='store_true', help='use what is in the cache, never the network')
    group.add_argument('--device', help='cuda:N, gpu, cpu or mps (default: a GPU if there is one)')
    group.add_argument('--dtype', choices=('auto', *DTYPES), help='precision of the networks')
    group.add_argument('--attention', choices=('auto', *BACKENDS), help='attention back end')
    add_lora_options(group)


def add_lora_options(group: Any, prefix: str = '') -> None:
    """Which fine-tuning of the model, and how much of it."""
    group.add_argument(f'--{prefix}lora', metavar='FILE', help='LoRA file (.safetensors) that changes the UNet')
    group.add_argument(f'--{prefix}lora-scale', type=float, metavar='FLOAT', help='times how much (default: 1)')


def option_names(kind: type[GenerationArguments]) -> list[str]:
    """The arguments of ``kind`` that a terminal can give."""
    return [item.name for item in dataclasses.fields(kind) if item.metadata.get('cli') is not None]


def add_generation_options(
    parser: argparse.ArgumentParser,
    kind: type[GenerationArguments],
    only: Iterable[str] | None = None,
    prefix: str = '',
) -> None:
    """One ``--kebab-case`` option for every argument of ``kind`` that a terminal can give (or of ``only`` those)."""
    names = option_names(kind) if only is None else list(only)
    group = parser.add_argument_group(prefix.replace('-', ' ').strip() or 'generation')
    for item in dataclasses.fields(kind):
        if item.name not in names:
            continue
        group.add_argument(
            f'--{prefix}{item.name.replace("_", "-")}',
            type=item.metadata['cli'],
            choices=item.metadata['choices'],
            metavar=None if item.metadata['choices'] else item.metadata['cli'].__name__.upper(),
            help=item.metadata['help'],
        )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Where the result goes and how it is reported."""
    parser.add_argument('-o', '--output', required=True, metavar='OUT.mp4', help='the video to write')
    parser.add_argument('--json', action='store_true', help='print one JSON line for scripts')
    parser.add_argument(
        '--show-progress', action=argparse.BooleanOptionalAction, help='progress bars on standard error'
    )


def given(arguments: argparse.Namespace, *names: str, prefix: str = '') -> dict[str, Any]:
    """Those of ``names`` that were given on the command line (behind ``prefix``)."""
    values = {name: getattr(arguments, prefix + name) for name in names}
    return {name: value for name, value in values.items() if value is not None}

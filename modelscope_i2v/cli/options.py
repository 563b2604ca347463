"""Options of the verbs that generate, derived from the dataclass of a stage's arguments."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from modelscope_i2v.cli.takes import seeds
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.argument_names import UnknownArgumentError
from modelscope_i2v.generation.arguments import GenerationArguments
from modelscope_i2v.terms import BACKENDS, MEMORY_LEVELS, PRECISIONS, RESTING_PRECISIONS


def add_model_options(parser: argparse.ArgumentParser, *, embedded: bool = True) -> None:
    """Add options for the model, and for where and how it runs.

    Args:
        embedded: whether there is an embedded model, so that ``--model`` is optional.
    """
    group = parser.add_argument_group('model')
    default = 'default: the embedded model, which needs no download' if embedded else 'required'
    group.add_argument('--model', required=not embedded, help=f'model folder or hub id ({default})')
    add_revision_option(group)
    add_loading_options(group)
    add_lora_options(group)


def add_revision_option(group: Any) -> None:
    """Add the option for a model's revision on the hub."""
    group.add_argument(
        '--model-revision', help="revision on the hub, for example v1.1.0 (default: the hub's default branch)"
    )


def add_offline_option(group: Any) -> None:
    """Add the option that keeps off the network."""
    group.add_argument('--offline', action='store_true', help='use only the cache, never the network (default: off)')


def add_device_option(group: Any, more: str = '') -> None:
    """Add the option for the device. ``more`` follows the list of values."""
    group.add_argument(
        '--device', help=f'cuda:N, gpu, cpu or mps{more} (default: a CUDA GPU if there is one, else the CPU)'
    )


def add_loading_options(group: Any, *, several_devices: bool = False) -> None:
    """Add options for where models come from, and where and how they run."""
    add_offline_option(group)
    add_device_option(group, '; several, as in cuda:0,cuda:1, work on a video each' if several_devices else '')
    group.add_argument(
        '--dtype',
        choices=('auto', *PRECISIONS),
        help='precision of the networks (default: auto, half precision on CUDA)',
    )
    group.add_argument(
        '--attention', choices=('auto', *BACKENDS), help='attention back end (default: auto, xformers if it works)'
    )
    group.add_argument('--autoencoder-dtype', choices=PRECISIONS, help='precision of the autoencoder (default: fp32)')
    group.add_argument(
        '--memory',
        metavar='LEVEL',
        help=f'how far to spare the memory of the device: {", ".join(MEMORY_LEVELS)}, or a limit such as 6GB '
        '(default: auto, what fits the GPU)',
    )
    add_weights_dtype_option(group)
    group.add_argument(
        '--compile',
        action='store_true',
        default=None,
        help='compile the UNet, which takes minutes and makes long runs faster (default: off)',
    )


def add_weights_dtype_option(group: Any) -> None:
    """Add the option for what weights rest in."""
    group.add_argument(
        '--weights-dtype',
        choices=RESTING_PRECISIONS,
        help='what the weights of UNet and CLIP rest in between computations: fewer bytes, other videos '
        '(default: same as --dtype)',
    )


def add_lora_options(group: Any, prefix: str = '') -> None:
    """Add options for a LoRA and its strength."""
    group.add_argument(
        f'--{prefix}lora', metavar='FILE', help='LoRA file (.safetensors) to apply to the UNet (default: none)'
    )
    group.add_argument(f'--{prefix}lora-scale', type=float, metavar='FLOAT', help='LoRA strength (default: 1)')


@contextmanager
def known_options() -> Iterator[None]:
    """Refuse an option that the parser knows, but that the model in use does not take.

    Raises:
        InputError: instead of an UnknownArgumentError.
    """
    try:
        yield
    except UnknownArgumentError as error:
        option = error.name.replace('_', '-')
        raise InputError(f"Unknown option '--{option}' of this model.{error.advice}") from error


def option_names(kind: type[GenerationArguments]) -> list[str]:
    """The arguments of ``kind`` that a terminal can give."""
    return [item.name for item in dataclasses.fields(kind) if item.metadata.get('cli') is not None]


def add_call_options(
    group: Any, kind: type[GenerationArguments], only: Iterable[str] | None = None, prefix: str = ''
) -> None:
    """Add a ``--kebab-case`` option for each argument of ``kind`` that a terminal can give, or for ``only`` some."""
    names = option_names(kind) if only is None else list(only)
    for item in dataclasses.fields(kind):
        if item.name not in names:
            continue
        option = f'--{prefix}{item.name.replace("_", "-")}'
        if option == '--seed':
            said = f'{item.metadata["help"]}; several, as in 1,2,3, make a video each'
            group.add_argument(
                option, type=seeds, metavar='INT[,INT...]', help=f'{said} (default: {item.metadata["default"]})'
            )
            continue
        if item.metadata['cli'] is bool:  # None: not given, so that a pipeline's own default holds
            group.add_argument(
                option, action='store_true', default=None, help=f'{item.metadata["help"]} (default: off)'
            )
            continue
        group.add_argument(
            option,
            type=item.metadata['cli'],
            choices=item.metadata['choices'],
            metavar=None
            if item.metadata['choices']
            else item.metadata['metavar'] or item.metadata['cli'].__name__.upper(),
            help=f'{item.metadata["help"]} (default: {item.metadata["default"]})',
        )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add options for where the result goes and how it is reported."""
    parser.add_argument('-o', '--output', required=True, metavar='OUT.mp4', help='the video to write (required)')
    add_json_option(parser)
    parser.add_argument(
        '--show-progress',
        action=argparse.BooleanOptionalAction,
        help='show progress on standard error: bars in a terminal, otherwise one line per phase (default: on)',
    )


def add_json_option(parser: Any) -> None:
    """Add the option for a report that scripts can read."""
    parser.add_argument('--json', action='store_true', help='print one JSON line for scripts (default: off)')


def given(arguments: argparse.Namespace, *names: str, prefix: str = '') -> dict[str, Any]:
    """The values given on the command line for ``names``, each with ``prefix`` in front, by the prefixed name."""
    values = {prefix + name: getattr(arguments, prefix + name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}

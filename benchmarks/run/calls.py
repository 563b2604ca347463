"""Single passes: time, memory, share of what the machine can do, and growth with frames and pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.activation_memory import MIB, fused_attention, measured
from benchmarks.run.machine import BOUNDS, PRECISIONS, Machine
from benchmarks.run.pairs import Inputs, Pair, autoencoder_pair, inputs_of, reference_keywords, unet_pair
from benchmarks.run.rows import Row, guarded
from benchmarks.run.sizes import Shape, Size

META = torch.device('meta')
Call = Callable[[], Any]


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The root mean square of the difference, relative to the size of ``expected``."""
    found, expected = found.double(), expected.double()
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def unet_calls(stage: str, pair: Pair, inputs: Inputs, device: torch.device) -> dict[str, Call]:
    """A pass of each network, as ``'ours'`` and, if it is there, ``'reference'``."""
    calls: dict[str, Call] = {'ours': lambda: pair.ours(inputs.latents, inputs.timestep, *inputs.conditions)}
    if pair.reference is not None:
        keywords = reference_keywords(stage, inputs.conditions)

        def reference() -> torch.Tensor:
            with pair.reference_precision(device):
                return pair.reference(inputs.latents, inputs.timestep, **keywords)

        calls['reference'] = reference
    return calls


def unets(machine: Machine, size: Size) -> Iterator[Row]:
    """A pass of each stage's UNet in each precision, and how much of the device it uses."""
    for stage, precision in product(size.shapes, machine.precisions):
        yield from guarded('UNet', f'{stage}, {precision}', _unet(machine, size, stage, precision))


@torch.no_grad()
def _unet(machine: Machine, size: Size, stage: str, precision: str) -> Iterator[Row]:
    machine.free()
    pair = unet_pair(stage, size, precision, machine.device)
    inputs = inputs_of(stage, size, size.shapes[stage], machine.device)
    calls = unet_calls(stage, pair, inputs, machine.device)
    timed = _timed('UNet', f'{stage}, {_said(size.shapes[stage])}, {precision}', machine, calls, pair)
    yield timed
    with FlopCounterMode(display=False) as counter:
        calls['ours']()
    work = counter.get_total_flops()
    for name, best in machine.peaks[precision].items():
        yield Row(
            part=f'share of the {name} peak',
            what=timed.what,
            ours=work / timed.ours / best if timed.ours else None,
            reference=work / timed.reference / best if timed.reference else None,
            remark=f'{work / 1e12:.3g} TFLOP a pass',
        )


def autoencoder(machine: Machine, size: Size) -> Iterator[Row]:
    """Encoding and decoding one image; the original only knows float32."""
    for precision in machine.precisions:
        yield from guarded('autoencoder', precision, _autoencoder(machine, size, precision))
    if not machine.on_cuda:
        yield from _autoencoder_without_values(size)


@torch.no_grad()
def _autoencoder(machine: Machine, size: Size, precision: str) -> Iterator[Row]:
    machine.free()
    generator = torch.Generator().manual_seed(3)
    height, width = size.pixels
    image = torch.randn(1, 3, height, width, generator=generator).clamp(-1, 1).to(machine.device)
    latents = torch.randn(1, 4, height // 8, width // 8, generator=generator).to(machine.device)
    pair = autoencoder_pair(size, precision, machine.device)
    phases: dict[str, dict[str, Call]] = {
        'encode': {'ours': lambda: pair.ours.encode(image)[0], 'reference': lambda: pair.reference.encode(image).mean},
        'decode': {'ours': lambda: pair.ours.decode(latents), 'reference': lambda: pair.reference.decode(latents)},
    }
    for phase, both in phases.items():
        calls = {name: call for name, call in both.items() if name == 'ours' or pair.reference is not None}
        what = f'{phase} {width}x{height}, {precision}'
        yield _timed('autoencoder', what, machine, calls, pair)
        if machine.on_cuda:
            yield _peak('autoencoder', what, {name: machine.peak_bytes(call) for name, call in calls.items()}, pair)


def memory(machine: Machine, size: Size) -> Iterator[Row]:
    """What a pass takes at its peak, without weights and inputs, and how that grows with frames and pixels."""
    for stage in size.shapes:
        yield from guarded('UNet, activations', stage, _memory(machine, size, stage))


@torch.no_grad()
def _memory(machine: Machine, size: Size, stage: str) -> Iterator[Row]:
    machine.free()
    precision = machine.precisions[-1] if machine.on_cuda else 'fp16'
    device = machine.device if machine.on_cuda else META
    pair = unet_pair(stage, size, precision, device)
    peaks: dict[Shape, dict[str, int]] = {}
    for shape in _grown(size.shapes[stage]):
        inputs = inputs_of(stage, size, shape, device)
        if not machine.on_cuda:  # without autocast
            inputs = inputs.to(PRECISIONS[precision])
        calls = unet_calls(stage, pair, inputs, device)
        peaks[shape] = {name: _unet_peak(machine, pair, name, call, inputs) for name, call in calls.items()}
        yield _peak('UNet', f'{stage}, {_said(shape)}, {precision}', peaks[shape], pair)
    yield from _growth('activations', f'{stage}, {precision}', peaks, pair)


def growth(machine: Machine, size: Size) -> Iterator[Row]:
    """How the time of a pass grows with frames and pixels, in half precision if the device has it."""
    for stage in size.shapes:
        yield from guarded('growth of time', stage, _growing(machine, size, stage))


@torch.no_grad()
def _growing(machine: Machine, size: Size, stage: str) -> Iterator[Row]:
    machine.free()
    precision = machine.precisions[-1]
    pair = unet_pair(stage, size, precision, machine.device)
    seconds = {}
    for shape in _grown(size.shapes[stage]):
        calls = unet_calls(stage, pair, inputs_of(stage, size, shape, machine.device), machine.device)
        seconds[shape] = machine.seconds_in_turn(calls)
    yield from _growth('time', f'{stage}, {precision}', seconds, pair)


def _timed(part: str, what: str, machine: Machine, calls: dict[str, Call], pair: Pair) -> Row:
    outputs = {name: call() for name, call in calls.items()}
    apart = distance(outputs['ours'], outputs['reference']) if len(outputs) > 1 else None
    del outputs
    return Row(
        part=part,
        what=what,
        unit='s',
        **machine.seconds_in_turn(calls, warm=True),
        difference=apart,
        bound=BOUNDS[pair.precision],
        remark=pair.why_not,
    )


def _peak(part: str, what: str, peaks: dict[str, int], pair: Pair) -> Row:
    values = {name: peak / MIB for name, peak in peaks.items()}
    return Row(part=f'{part}, activations', what=what, unit='MiB', **values, remark=pair.why_not)


def _unet_peak(machine: Machine, pair: Pair, name: str, call: Call, inputs: Inputs) -> int:
    if machine.on_cuda:
        return machine.peak_bytes(call)
    with META, fused_attention():
        return measured(call, *_known(getattr(pair, name)), inputs.latents, inputs.timestep, *inputs.conditions)


@torch.no_grad()
def _autoencoder_without_values(size: Size) -> Iterator[Row]:
    height, width = size.pixels
    pair = autoencoder_pair(size, 'fp32', META)
    image = torch.empty(1, 3, height, width, device=META)
    latents = torch.empty(1, 4, height // 8, width // 8, device=META)
    networks = {name: each for name, each in (('ours', pair.ours), ('reference', pair.reference)) if each is not None}
    for phase, given in (('encode', image), ('decode', latents)):
        peaks = {
            name: measured(lambda n=network, g=given, p=phase: getattr(n, p)(g), *_known(network), given)
            for name, network in networks.items()
        }
        yield _peak('autoencoder', f'{phase} {width}x{height}, fp32', peaks, pair)


def _growth(of: str, what: str, found: dict[Shape, dict[str, Any]], pair: Pair) -> Iterator[Row]:
    base, frames, pixels = found.values()
    for name, grown in (('twice the frames', frames), ('twice the pixels', pixels)):
        times = {side: grown[side] / base[side] for side in base}
        yield Row(part=f'growth of {of}', what=f'{what}, {name}', **times, remark=pair.why_not)


def _grown(shape: Shape) -> tuple[Shape, Shape, Shape]:
    frames, height, width = shape
    return shape, (2 * frames, height, width), (frames, height, 2 * width)


def _known(network: nn.Module) -> list[torch.Tensor]:
    return list(network.state_dict().values())


def _said(shape: Shape) -> str:
    frames, height, width = shape
    return f'{8 * width}x{8 * height}x{frames}'

"""How far weights that rest in fp8 bring outputs and videos from those without, as a table of docs/performance.md.

``python -m benchmarks.performance --write fp8`` writes it. Beside it stand the same without scales, and bf16.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

import modelscope_i2v
from benchmarks.first_generation import MODELS
from benchmarks.measures import distance, seconds_in_turn
from modelscope_i2v.runtime.fp8 import FP8, fp8_weights, rest_in_fp8, to_fp8

SEEDS = (0, 1)
#: Weights of wide layers, by what they are.
SHAPES = {
    'weights of a convolution of 1280 channels, not trained': (1280, 1280, 3, 3),
    'weights of a linear layer of 1280 channels, not trained': (5120, 1280),
}
#: A model, what the rows call it, and its call.
Source = tuple[str, str, Any, Mapping[str, Any]]


def without_scales(network: nn.Module) -> None:
    """Round what may rest in fp8 as it is."""
    for layer, name in fp8_weights(network):
        weight = getattr(layer, name)
        setattr(layer, name, nn.Parameter(weight.to(FP8).to(weight.dtype), requires_grad=False))


#: What is compared, in the order of columns.
KINDS: Mapping[str, Callable[[nn.Module], Any]] = {
    'fp8': rest_in_fp8,
    'fp8 without scales': without_scales,
    'bf16': lambda network: network.bfloat16(),
}


@torch.no_grad()
def rows(sources: tuple[Source, ...]) -> list[str]:
    """The rows of the table: weights, single passes, and videos."""
    found = [f'| what | {" | ".join(KINDS)} | CPU time |', f'|---|{"---|" * (len(KINDS) + 1)}']

    def add(what: str, distances: list[float], time: str = '-') -> None:
        found.append(f'| {what} | {" | ".join(f"{each:.4f}" for each in distances)} | {time} |')
        print(found[-1], flush=True)

    for what, shape in SHAPES.items():
        weight = torch.randn(shape, generator=torch.Generator().manual_seed(0)) / torch.Size(shape[1:]).numel() ** 0.5
        resting, scale = to_fp8(weight)
        rounded = resting.float() * scale, weight.to(FP8).float(), weight.bfloat16().float()
        add(what, [distance(each, weight) for each in rounded])
    for task, name, given, call in sources:
        pipeline = modelscope_i2v.load(MODELS[task], device='cpu', show_progress=False, output_type='latent', **call)
        model: Any = pipeline.model
        inputs: list[Any] = []
        hook = model.unet.register_forward_pre_hook(lambda _, given, inputs=inputs: inputs.append(given))
        exact = [pipeline(given, seed=seed)['output_video'] for seed in SEEDS]
        hook.remove()
        middle = inputs[len(inputs) // (2 * len(SEEDS))]
        own, expected = {part: getattr(model, part) for part in ('clip', 'unet')}, model.unet(*middle)
        passes: list[float] = []
        videos: list[float] = []
        time = ''
        for kind, change in KINDS.items():
            for part, network in own.items():
                changed = copy.deepcopy(network)
                change(changed)
                setattr(model, part, changed)
            passes.append(distance(model.unet(*middle).float(), expected))
            apart = [distance(pipeline(given, seed=seed)['output_video'], exact[seed]) for seed in SEEDS]
            videos.append(sum(apart) / len(apart))
            if kind == 'fp8':
                taken = seconds_in_turn({'plain': lambda: own['unet'](*middle), 'fp8': lambda: model.unet(*middle)}, 5)  # noqa: B023  called at once
                time = f'{taken["fp8"] / taken["plain"]:.2f}'
        add(f'{name}: a pass of the UNet', passes, time)
        add(f'{name}: latents of the video', videos)
    return found

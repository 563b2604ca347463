"""Whole sampling loops with guidance: the original's settings, and the presets of ``speed``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch

from benchmarks.run.calls import distance
from benchmarks.run.machine import BOUNDS, Machine
from benchmarks.run.pairs import Inputs, Pair, inputs_of, reference_keywords, unet_pair
from benchmarks.run.reference import reference_module
from benchmarks.run.rows import NotRunError, Row, guarded
from benchmarks.run.sizes import Size
from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.generation.arguments import SPEEDS
from modelscope_i2v.generation.denoising import guided_denoiser
from modelscope_i2v.stage import stages
from modelscope_i2v.video_to_video.sigmas import start_scale

#: After that many passes, relative differences have added up.
LOOP = 10


def loops(machine: Machine, size: Size) -> Iterator[Row]:
    """From noise, or noised latents, to latents: ours with each preset beside the original's defaults."""
    if not size.loops:
        yield Row(part='loop', what='all', remark='not run: --size small has it')
        return
    for stage, precision in product(size.shapes, machine.precisions):
        yield from guarded('loop', f'{stage}, {precision}', _loops(machine, size, stage, precision))


@torch.no_grad()
def _loops(machine: Machine, size: Size, stage: str, precision: str) -> Iterator[Row]:
    machine.free()
    pair = unet_pair(stage, size, precision, machine.device)
    inputs = inputs_of(stage, size, size.shapes[stage], machine.device)
    calls: dict[str, Callable[[], torch.Tensor]] = {
        speed: lambda speed=speed: our_loop(stage, pair, inputs, speed) for speed in SPEEDS
    }
    why_not = pair.why_not
    try:
        if pair.reference is not None:
            calls['reference'] = reference_loop(stage, pair, inputs, machine)
    except NotRunError as error:
        why_not = str(error)
    yield from _rows(stage, machine, calls, precision, why_not)


def _rows(
    stage: str, machine: Machine, calls: dict[str, Callable[[], torch.Tensor]], precision: str, why_not: str
) -> Iterator[Row]:
    latents: dict[str, torch.Tensor] = {}
    seconds: dict[str, float] = {}
    calls['fast']()
    if machine.on_cuda and 'reference' in calls:  # kernels are chosen in the first call
        calls['reference']()
    for name, call in calls.items():  # a loop is long enough to be timed once

        def kept(name: str = name, call: Callable[[], torch.Tensor] = call) -> None:
            latents[name] = call()

        seconds[name] = machine.seconds(kept)
    for speed in SPEEDS:
        apart = distance(latents[speed], latents['reference']) if 'reference' in latents else None
        yield Row(
            part='loop',
            what=f'{stage}, {speed}, {precision}',
            unit='s',
            ours=seconds[speed],
            reference=seconds.get('reference'),
            difference=apart,
            bound=LOOP * BOUNDS[precision] if speed == 'exact' else None,
            remark=why_not,
        )


def our_loop(stage: str, pair: Pair, inputs: Inputs, speed: str) -> torch.Tensor:
    """Our latents, with the defaults of a call."""
    own = next(each for each in stages() if each.name == stage)
    arguments: Any = own.arguments(speed=speed)
    device = inputs.latents.device

    def network(conditions: tuple[torch.Tensor, ...]) -> Callable[[torch.Tensor, int], torch.Tensor]:
        def predict(latents: torch.Tensor, timestep: int) -> torch.Tensor:
            out: torch.Tensor = pair.ours(latents, torch.tensor([timestep], device=device), *conditions)
            return out.float()

        return predict

    def no_cache(_: Any) -> Any:
        raise NotRunError('not run: features are reused, which this loop does not do')

    sides = inputs.conditions, inputs.unconditional()
    denoiser = guided_denoiser(sides, arguments, own.schedule, network=network, deep_network=no_cache)
    sigmas = own.sigmas_of(own.schedule, arguments)
    generator = torch.Generator().manual_seed(0)
    if stage == 'video-to-video':
        x = inputs.latents * start_scale(float(sigmas[0]), arguments.noise_level)
    else:
        x = inputs.latents / signal_scale(sigmas[0]).float().to(device)
    x = arguments.sampler.run(denoiser, x, sigmas, arguments=arguments, generator=generator)
    return x if stage == 'video-to-video' else x * signal_scale(sigmas[-1]).float().to(device)


def reference_loop(stage: str, pair: Pair, inputs: Inputs, machine: Machine) -> Callable[[], torch.Tensor]:
    """The original's loop, with the settings in its code."""
    sides = [reference_keywords(stage, each) for each in (inputs.conditions, inputs.unconditional())]
    if stage == 'image-to-video':
        betas = reference_module('image_to_video/utils/shedule').beta_schedule(
            'linear_sd', 1000, init_beta=0.00085, last_beta=0.0120
        )
        diffusion = reference_module('image_to_video/utils/diffusion').GaussianDiffusion(
            betas, mean_type='v', var_type='fixed_small'
        )

        def run() -> torch.Tensor:
            return diffusion.ddim_sample_loop(
                inputs.latents, pair.reference, sides, guide_scale=3.0, ddim_timesteps=50, eta=0.0
            )
    else:
        sigmas = reference_module('video_to_video/utils/schedules_sdedit').noise_schedule(
            schedule='logsnr_cosine_interp', n=1000, zero_terminal_snr=True, scale_min=2.0, scale_max=4.0
        )
        diffusion = reference_module('video_to_video/utils/diffusion_sdedit').GaussianDiffusion_SDEdit(
            sigmas, prediction_type='v'
        )

        def run() -> torch.Tensor:
            return diffusion.sample(
                inputs.latents,
                pair.reference,
                sides,
                guide_scale=7.5,
                guide_rescale=0.2,
                solver='heun',
                steps=50,
                t_max=599,
                t_min=0,
                discretization='trailing',
            )

    def within() -> torch.Tensor:
        with pair.reference_precision(machine.device):
            return run()

    return within

"""How often a call runs the UNet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from modelscope_i2v.generation.denoising import guided_denoiser

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.stage import Stage


@dataclass(frozen=True)
class Passes:
    """Passes of the UNet in a call, one batch of both passes of guidance counted as two.

    Attributes:
        whole: those of all blocks.
        outer: those that reuse deep features and compute the outer blocks only.
    """

    whole: int
    outer: int = 0


def count_passes(
    stage: Stage, configuration: StageConfiguration, arguments: GenerationArguments, num_frames: int
) -> Passes:
    """Count what the sampler of a call does, by running it on a few numbers with a network that only counts."""
    passes: Counter[bool] = Counter()

    def network(_: None) -> Any:
        def predict(latents: torch.Tensor, timestep: int) -> torch.Tensor:
            passes[False] += 1
            return torch.zeros_like(latents)

        return predict

    def deep_network(_: None) -> Any:
        def predict(latents: torch.Tensor, timestep: int, hidden: object) -> tuple[torch.Tensor, object]:
            passes[hidden is not None] += 1
            return torch.zeros_like(latents), passes  # anything that is not None stands for features

        return predict

    schedule = stage.schedule
    denoiser = guided_denoiser((None, None), arguments, schedule, network=network, deep_network=deep_network)
    x = torch.zeros(1, configuration.unet.in_channels, 1, 2, 2)
    sigmas = stage.sigmas_of(schedule, arguments)
    arguments.sampler.run(denoiser, x, sigmas, arguments=arguments, generator=arguments.generator())
    windows = configuration.windows(arguments, num_frames)
    return Passes(windows * passes[False], windows * passes[True])

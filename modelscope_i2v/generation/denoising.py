"""How the passes of a UNet become the denoiser of a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from modelscope_i2v.diffusion import (
    NoiseSchedule,
    classifier_free_guidance,
    in_one_batch,
    reuse_deep_features,
    v_prediction_denoiser,
)
from modelscope_i2v.diffusion.deep_cache import DeepNetwork
from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.diffusion.guidance import Network
from modelscope_i2v.generation.arguments import GenerationArguments

Conditions = TypeVar('Conditions')


def guided_denoiser(
    sides: Sequence[Conditions],
    arguments: GenerationArguments,
    schedule: NoiseSchedule,
    *,
    network: Callable[[Conditions], Network],
    deep_network: Callable[[Conditions], DeepNetwork],
) -> Denoiser:
    """The guided denoiser that a sampler takes.

    Args:
        sides: the conditions of the conditional and of the unconditional pass, and if both are to be one pass, those of
            the batch of both.
        network, deep_network: bind conditions to a network, the second one to a network whose deep features are reused.
    """
    if arguments.cache_interval > 1:
        networks = reuse_deep_features(arguments.cache_interval, *map(deep_network, sides))
    else:
        networks = list(map(network, sides))
    guided = classifier_free_guidance(
        *networks[:2],
        guidance_scale=arguments.guidance_scale,
        guidance_rescale=arguments.guidance_rescale,
        guidance_min_timestep=arguments.guidance_min_timestep,
        guidance_max_timestep=arguments.guidance_max_timestep,
        pair=in_one_batch(networks[2]) if len(networks) > 2 else None,
    )
    return v_prediction_denoiser(guided, schedule)

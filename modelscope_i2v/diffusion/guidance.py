"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) on a network's raw output."""

from __future__ import annotations

from collections.abc import Callable

import torch

#: ``(latents [B, C, F, h, w], timestep) -> raw output``, with the conditions already bound.
Network = Callable[[torch.Tensor, int], torch.Tensor]
#: ``(latents, timestep) -> (raw output with the condition, raw output without it)``.
Pair = Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


def in_turn(conditional: Network, unconditional: Network) -> Pair:
    """Both predictions, one pass after the other: what is in memory is what one pass needs."""
    return lambda latents, timestep: (conditional(latents, timestep), unconditional(latents, timestep))


def in_one_batch(network: Network) -> Pair:
    """Both predictions from one pass, which takes less time than two and twice the memory.

    The results are those of :func:`in_turn`, except that sums may be added in another order.

    Args:
        network: takes latents ``[2 B, C, F, h, w]``, with the conditions of both passes bound: first those of the
            conditional pass for all ``B``, then those of the unconditional one.
    """

    def pair(latents: torch.Tensor, timestep: int) -> tuple[torch.Tensor, torch.Tensor]:
        cond, uncond = network(torch.cat([latents, latents]), timestep).chunk(2)
        return cond, uncond

    return pair


def classifier_free_guidance(
    conditional: Network,
    unconditional: Network,
    *,
    guidance_scale: float,
    guidance_rescale: float = 0.0,
    guidance_min_timestep: int = 0,
    guidance_max_timestep: int = 1000,
    pair: Pair | None = None,
) -> Network:
    """A network that returns ``u + guidance_scale * (c - u)``: ``c`` is with the condition, ``u`` without.

    A ``guidance_rescale`` above 0 is the fraction by which the result's standard deviation moves towards the one of
    ``c`` (Lin et al. 2023, arXiv 2305.08891, equations 15 and 16), per batch element over all other dimensions. If
    ``guidance_scale`` is exactly 1, the result is ``conditional`` itself: the unconditional pass and the rescale are
    skipped. They are also skipped at timesteps below ``guidance_min_timestep``, where guidance has little effect and
    sharpens flicker, and at those above ``guidance_max_timestep``, where it costs variety (Kynkaanniemi et al. 2024,
    arXiv 2404.07724).

    Args:
        pair: computes both predictions; None is :func:`in_turn`.
    """
    if guidance_scale == 1:
        return conditional
    both = pair or in_turn(conditional, unconditional)

    def guided(latents: torch.Tensor, timestep: int) -> torch.Tensor:
        if not guidance_min_timestep <= timestep <= guidance_max_timestep:
            return conditional(latents, timestep)
        cond, uncond = both(latents, timestep)
        out = uncond + guidance_scale * (cond - uncond)
        if guidance_rescale == 0:
            return out
        dims = tuple(range(1, out.ndim))
        ratio = cond.std(dim=dims, keepdim=True) / (out.std(dim=dims, keepdim=True) + 1e-12)
        return out * (guidance_rescale * ratio + (1 - guidance_rescale))

    return guided

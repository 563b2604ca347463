"""Classifier-free guidance (Ho and Salimans 2022, arXiv 2207.12598) on a network's raw output."""

from __future__ import annotations

from collections.abc import Callable

import torch

#: ``(latents [B, C, F, h, w], timestep) -> raw output``, with the conditions already bound.
Network = Callable[[torch.Tensor, int], torch.Tensor]


def classifier_free_guidance(
    conditional: Network,
    unconditional: Network,
    *,
    guidance_scale: float,
    guidance_rescale: float = 0.0,
    guidance_min_timestep: int = 0,
) -> Network:
    """A network that returns ``u + guidance_scale * (c - u)``: ``c`` is with the condition, ``u`` without.

    A ``guidance_rescale`` above 0 is the fraction by which the result's standard deviation moves towards the one of
    ``c`` (Lin et al. 2023, arXiv 2305.08891, equations 15 and 16), per batch element over all other dimensions. If
    ``guidance_scale`` is exactly 1, the result is ``conditional`` itself: the unconditional pass and the rescale are
    skipped. They are also skipped at timesteps below ``guidance_min_timestep``, where guidance has little effect and
    sharpens flicker (Kynkaanniemi et al. 2024, arXiv 2404.07724).
    """
    if guidance_scale == 1:
        return conditional

    def guided(latents: torch.Tensor, timestep: int) -> torch.Tensor:
        cond = conditional(latents, timestep)
        if timestep < guidance_min_timestep:
            return cond
        uncond = unconditional(latents, timestep)
        out = uncond + guidance_scale * (cond - uncond)
        if guidance_rescale == 0:
            return out
        dims = tuple(range(1, out.ndim))
        ratio = cond.std(dim=dims, keepdim=True) / (out.std(dim=dims, keepdim=True) + 1e-12)
        return out * (guidance_rescale * ratio + (1 - guidance_rescale))

    return guided

"""The training objective: predict v at a random noise level, with the condition dropped now and then.

Salimans and Ho 2022 (arXiv 2202.00512, appendix D) for v; Ho and Salimans 2022 (arXiv 2207.12598) for the dropped
conditions. Offset noise is noise that all pixels of a frame share; it teaches the model to change the brightness of a
video.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modelscope_i2v.checks import integer, number
from modelscope_i2v.diffusion.schedules import NoiseSchedule
from modelscope_i2v.terms import NUM_TRAIN_TIMESTEPS


def condition_alone(condition: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The condition as the only one of a UNet."""
    return (condition,)


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss for all stages. Call it with the UNet, a batch and a generator.

    A batch is a dict of ``mean`` and ``logvar`` ``[B, 4, F, h, w]`` (the autoencoder's, without scale factor),
    ``condition`` (stage 1: image embeddings ``[B, 1, E]``; stage 2: text features ``[B, L, C]``), ``fps`` ``[B]`` and,
    if stage 2 learns to enhance, ``source`` ``[B, 4, F, h, w]``: latents of videos like those it will have to enhance.

    Attributes:
        schedule: the stage's noise schedule.
        unconditional: the condition that stands for 'no condition', ``[1, E]`` or ``[L, C]``.
        scale_factor: the scale factor of the autoencoder.
        takes_fps: whether the UNet takes the frame rate as an input.
        conditions: ``(condition [B, ...], clean latents [B, C, F, h, w]) -> what the UNet takes``, before the frame
            rate. A UNet may take several conditions, or one that comes from the clip itself.
        offset_noise: the strength of the noise that all pixels of a frame share.
        conditioning_dropout: the probability that ``unconditional`` replaces the condition.
        num_timesteps: how many timesteps to train on, counted from the least noisy one. Not used with a ``source``.
        timestep_power: timesteps are ``num_timesteps u^(1 / timestep_power)`` for uniform u; values above
            1 favour noisy timesteps, where the condition matters most. Not used with a ``source``.
        noise_levels: only with a ``source``: the lowest and highest of the 1000 levels at which its denoising starts.
        motion_weight: the weight of the error in the differences between successive frames. It favours steady motion
            and still backgrounds.
        pooling: side lengths of squares of latents. For each side ``k`` the error is averaged over such squares, and
            ``k`` times the mean square of that is added to the loss. This helps with slowly varying features such as
            colours, which the noise of single latents hides (Hoogeboom et al. 2023, arXiv 2301.11093, section 3.3).

    The expected v minimises the loss for any weights, because every term is a quadratic form of the same error.
    """

    schedule: NoiseSchedule
    unconditional: torch.Tensor
    scale_factor: float
    takes_fps: bool
    conditions: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]] = condition_alone
    offset_noise: float = 0.1
    conditioning_dropout: float = 0.1
    num_timesteps: int = NUM_TRAIN_TIMESTEPS
    timestep_power: float = 1.0
    noise_levels: tuple[int, int] = (200, 600)
    motion_weight: float = 0.0
    pooling: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        number('offset_noise', self.offset_noise, 0, 10)
        number('conditioning_dropout', self.conditioning_dropout, 0, 1)
        integer('num_timesteps', self.num_timesteps, 1, NUM_TRAIN_TIMESTEPS)
        number('timestep_power', self.timestep_power, 0, 100, open_low=True)
        number('motion_weight', self.motion_weight, 0, 100)
        for side in self.pooling:
            integer('pooling', side, 2)
        low, high = self.noise_levels
        integer('noise_levels[1]', high, integer('noise_levels[0]', low, 1), NUM_TRAIN_TIMESTEPS - 1)

    @property
    def identity(self) -> dict[str, Any]:
        """The settings as plain values, without those that follow from the model."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        given = ('schedule', 'unconditional', 'conditions')
        return {name: value for name, value in named.items() if name not in given}

    def __call__(
        self, model: nn.Module, batch: Mapping[str, Any], generator: torch.Generator
    ) -> Mapping[str, torch.Tensor]:
        """Return ``{'loss': weighted squared error of v}``. All random numbers come from ``generator``, on the CPU."""
        mean = batch['mean'].float()
        draw = self._draw(mean, generator)
        clean = self.scale_factor * (mean + (0.5 * batch['logvar'].float()).exp() * draw(mean.shape))
        noise = draw(mean.shape) + self.offset_noise * draw((*mean.shape[:3], 1, 1))
        uniform = torch.rand(len(mean), generator=generator)
        t = (self.num_timesteps * uniform ** (1 / self.timestep_power)).long().clamp(max=self.num_timesteps - 1)
        if 'source' in batch:
            t, start = self._source_levels(len(mean), generator)
            source = self.scale_factor * batch['source'].float()
            noise = noise + (source - clean) / self._table(self.schedule.sigmas, start, clean)
        alphas, sigmas = (self._table(table, t, clean) for table in (self.schedule.alphas, self.schedule.sigmas_vp))
        dropped = torch.rand(len(mean), generator=generator) < self.conditioning_dropout
        condition = torch.where(
            dropped.to(mean.device)[:, None, None], self.unconditional.to(batch['condition']), batch['condition']
        )
        more = (batch['fps'],) if self.takes_fps else ()
        conditions = self.conditions(condition.float(), clean)
        predicted = model(alphas * clean + sigmas * noise, t.to(mean.device), *conditions, *more)
        return {'loss': self._error(predicted.float() - (alphas * noise - sigmas * clean))}

    def _error(self, difference: torch.Tensor) -> torch.Tensor:
        """The loss of an error ``[B, 4, F, h, w]``, including the terms of ``pooling``."""
        error = self._squares(difference)
        for side in self.pooling:
            error = error + side * self._squares(functional.avg_pool3d(difference, (1, side, side)))
        return error

    def _squares(self, difference: torch.Tensor) -> torch.Tensor:
        """Mean square of ``[B, 4, F, h, w]``. Errors that differ between frames count ``1 + motion_weight`` times."""
        error = difference.square().mean()
        if self.motion_weight and difference.shape[2] > 1:
            error = error + self.motion_weight * difference.diff(dim=2).square().mean() / 2
        return error

    def _source_levels(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Timesteps, and the timesteps at which denoising of the sources starts, ``[count]`` each.

        A sampler that starts from ``source + sigma_start noise`` and moves straight to ``clean`` is at
        ``clean + sigma (noise + (source - clean) / sigma_start)`` on its way. The difference from
        the source acts as additional noise.
        """
        low, high = self.noise_levels
        start = torch.randint(low - 1, high, (count,), generator=generator)
        return (torch.rand(count, generator=generator) * (start + 1)).long(), start

    @staticmethod
    def _draw(like: torch.Tensor, generator: torch.Generator) -> Callable[[Sequence[int]], torch.Tensor]:
        return lambda shape: torch.randn(shape, generator=generator).to(like.device)

    @staticmethod
    def _table(table: torch.Tensor, t: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return table[t].float().to(like.device).view(-1, 1, 1, 1, 1)

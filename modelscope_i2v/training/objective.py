"""What the UNets learn: to predict v at a random noise level, with what conditions them left out now and then.

Salimans and Ho 2022 (arXiv 2202.00512, appendix D) for v; Ho and Salimans 2022 (arXiv 2207.12598) for the dropped
conditions; offset noise, which lets a video change its brightness, is noise that all pixels of a frame share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from modelscope_i2v.checks import integer, number
from modelscope_i2v.diffusion.schedules import NUM_TRAIN_TIMESTEPS, NoiseSchedule


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of both stages; call it with the UNet, a batch and a generator.

    A batch is a dict of ``mean`` and ``logvar`` ``[B, 4, F, h, w]`` (the autoencoder's, without scale factor),
    ``condition`` (stage 1: image embeddings ``[B, 1, E]``; stage 2: text features ``[B, L, C]``), ``fps`` ``[B]`` and,
    where stage 2 learns to enhance, ``source`` ``[B, 4, F, h, w]``: latents of the videos as they will be given to it.

    Attributes:
        schedule: of the stage.
        unconditional: what stands for no condition, ``[1, E]`` or ``[L, C]``.
        scale_factor: of the autoencoder.
        takes_fps: whether the UNet is told the frame rate.
        offset_noise: strength of the noise that all pixels of a frame share.
        conditioning_dropout: how often ``unconditional`` takes the place of the condition.
        num_timesteps: how many timesteps are trained on, from the least noisy one; not used with a ``source``.
        timestep_power: timesteps are ``num_timesteps u^(1 / timestep_power)`` for uniform u; above 1 there are more
            noisy ones, in which a condition decides most. Not used with a ``source``.
        noise_levels: with a ``source``: from how many of the 1000 levels the source is denoised, lowest and highest.
        motion_weight: of the error of differences between successive frames, which asks for steady motion and for still
            backgrounds.
        pooling: sides of the squares of latents over which the error is averaged, too; a side of ``k`` adds a term
            times ``k``, for what varies slowly, such as colours, which single latents hide in their noise (Hoogeboom et
            al. 2023, arXiv 2301.11093, section 3.3).

    Whatever the weights, the loss is smallest at the expected v: every term is a quadratic form of one error.
    """

    schedule: NoiseSchedule
    unconditional: torch.Tensor
    scale_factor: float
    takes_fps: bool
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
        """The settings, as plain values; ``schedule`` and ``unconditional`` follow from the model."""
        named = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in named.items() if name not in ('schedule', 'unconditional')}

    def __call__(
        self, model: nn.Module, batch: Mapping[str, Any], generator: torch.Generator
    ) -> Mapping[str, torch.Tensor]:
        """``{'loss': squared error of v, weighted}``; every draw is made on the CPU from ``generator``."""
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
        predicted = model(alphas * clean + sigmas * noise, t.to(mean.device), condition.float(), *more)
        return {'loss': self._error(predicted.float() - (alphas * noise - sigmas * clean))}

    def _error(self, difference: torch.Tensor) -> torch.Tensor:
        """The loss of ``[B, 4, F, h, w]``, see ``pooling``."""
        error = self._squares(difference)
        for side in self.pooling:
            error = error + side * self._squares(functional.avg_pool3d(difference, (1, side, side)))
        return error

    def _squares(self, difference: torch.Tensor) -> torch.Tensor:
        """Mean square of ``[B, 4, F, h, w]``; errors that frames do not share count ``1 + motion_weight`` times."""
        error = difference.square().mean()
        if self.motion_weight and difference.shape[2] > 1:
            error = error + self.motion_weight * difference.diff(dim=2).square().mean() / 2
        return error

    def _source_levels(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Timesteps, and the timesteps that the sources entered at, ``[count]`` each.

        A sampler that starts from ``source + sigma_start noise`` and moves straight to ``clean`` is at
        ``clean + sigma (noise + (source - clean) / sigma_start)`` on its way: what the source lacks is one more noise.
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

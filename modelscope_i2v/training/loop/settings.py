"""How long, how fast and how precisely to train."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from modelscope_i2v.checks import choice, integer, number
from modelscope_i2v.errors import ConfigurationError

PRECISIONS = ('fp32', 'fp16', 'bf16')
SCHEDULES = ('constant', 'cosine')


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """Settings of :func:`~modelscope_i2v.training.loop.fit.fit`.

    Attributes:
        steps: total number of optimiser steps.
        learning_rate: AdamW's peak rate, reached after ``warmup_steps``.
        schedule: ``'constant'`` after the warm-up, or ``'cosine'``, which falls to a hundredth at the last step.
        weight_decay, max_grad_norm: AdamW's weight decay; the norm to which gradients are clipped.
        gradient_accumulation: batches per optimiser step.
        ema_decay: the decay of the moving average of the weights. The average is what is validated and saved.
        precision: ``'fp32'``, or autocast to ``'bf16'`` or ``'fp16'`` (with a loss scaler).
        seed: the seed of noise, timesteps and dropout. The order of the data has its own seed in
            :class:`~modelscope_i2v.training.data.mixture.MixtureSettings`.
        checkpoint_seconds: the time between checkpoints; another one is written at the end.
        validate_every, log_every: intervals in steps; ``validate_every=0`` validates only at the end.
        num_workers: the number of processes that prepare batches; 0 prepares them in this process.

    Raises:
        ConfigurationError: for an impossible value. It names the setting, what was found and what is allowed.
    """

    steps: int = 10_000
    learning_rate: float = 1e-4
    schedule: str = 'constant'
    warmup_steps: int = 100
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    gradient_accumulation: int = 1
    ema_decay: float = 0.999
    precision: str = 'fp32'
    seed: int = 0
    checkpoint_seconds: float = 300
    validate_every: int = 0
    log_every: int = 10
    num_workers: int = 0

    def __post_init__(self) -> None:
        for key in ('steps', 'gradient_accumulation', 'log_every'):
            integer(key, getattr(self, key), 1)
        for key in ('warmup_steps', 'validate_every', 'num_workers'):
            integer(key, getattr(self, key), 0)
        integer('seed', self.seed, 0, 2**31 - 1)
        number('learning_rate', self.learning_rate, 0, 1, open_low=True)
        number('weight_decay', self.weight_decay, 0, 1)
        number('max_grad_norm', self.max_grad_norm, 0, math.inf, open_low=True)
        number('checkpoint_seconds', self.checkpoint_seconds, 0, math.inf)
        if number('ema_decay', self.ema_decay, 0, 1) == 1:
            raise ConfigurationError("'ema_decay' must be below 1, found 1: the average would never move.")
        choice('precision', self.precision, PRECISIONS)
        choice('schedule', self.schedule, SCHEDULES)

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that must not change when a training is resumed.

        Reporting may change, and so may the number of steps if the rate is constant.
        """
        free = ('checkpoint_seconds', 'validate_every', 'log_every', 'num_workers')
        # The rates of a cosine schedule depend on its length.
        length = ('steps',) if self.schedule == 'constant' else ()
        return {name: value for name, value in asdict(self).items() if name not in (*free, *length)}

    def rate(self, step: int) -> float:
        """The learning rate of step ``step``, 0..steps-1."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        if self.schedule == 'constant':
            return self.learning_rate * warm
        progress = step / max(1, self.steps - 1)
        return self.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))

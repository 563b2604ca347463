"""Stage 2's UNet: from latents of an enlarged picture to those of a sharp one. It learns from windows of pictures.

Its frames do not see each other: the layers between frames add nothing, and are not trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import Dataset

from demo_training.emoji_and_photographs.architecture import CLIP
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.scenes import draw_scene
from demo_training.emoji_and_photographs.sharpening.architecture import UNET
from demo_training.emoji_and_photographs.sharpening.drawing import SIDE, degraded, draw_frames
from demo_training.made_from import MADE_FROM, check_made_from
from demo_training.temporal import set_temporal_layers, zero_temporal_outputs
from modelscope_i2v.diffusion import NoiseSchedule, logsnr_cosine_interp_schedule
from modelscope_i2v.generation.prompt_tokens import build_tokenizer
from modelscope_i2v.networks import AutoencoderKL, ClipTextEncoder, VideoToVideoUNet, set_attention_backend
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.weights.save import write_tensors

Pool = dict[str, torch.Tensor]

#: Windows in the pool and in a batch, and pixels per side.
POOL, BATCH, WINDOW = 600, 8, 64
SETTINGS = LoopSettings(
    steps=600,
    learning_rate=2e-3,
    schedule='cosine',
    warmup_steps=30,
    weight_decay=0.0,
    ema_decay=0.98,
    checkpoint_seconds=60,
    log_every=25,
)
#: The noise level of a call, of 1000. It hides less than a grey level. All is done in one step.
NOISE_LEVEL = 4
#: The share of examples that are at other levels, and the range of those at which a denoising starts.
OTHER_LEVELS, LEVELS = 0.25, (2, 30)
#: At low noise the answer, v, is many times as large as the latents. So the last layer's input starts larger, too.
LAST_INPUT = 4.0
DROPOUT = 0.1


def new_unet(seed: int = 0) -> VideoToVideoUNet:
    """An untrained UNet that returns nothing but zeros, and whose frames do not see each other."""
    unet = seeded(lambda: VideoToVideoUNet(**UNET), seed)
    zero_temporal_outputs(unet)
    nn.init.constant_(unet.norm_out.weight, LAST_INPUT)
    for parameter in unet.conv_out.parameters():
        nn.init.zeros_(parameter)
    return unet


@dataclass(frozen=True)
class Regression:
    """The mean error of the clean latents, where the noise is so low that one step has to find them.

    Attributes:
        empty: text features that stand for 'no text', ``[L, C]``.
        scale_factor: of the autoencoder.
    """

    empty: torch.Tensor
    scale_factor: float

    @property
    def schedule(self) -> NoiseSchedule:
        """Of the model."""
        return logsnr_cosine_interp_schedule()

    def __call__(
        self, model: nn.Module, batch: Mapping[str, Any], generator: torch.Generator
    ) -> Mapping[str, torch.Tensor]:
        """Return the ``loss``, and by how many dB the clean latents are nearer to the answer than to the source."""
        clean, source = (self.scale_factor * batch[name].float() for name in ('mean', 'source'))
        schedule = self.schedule
        t, start = self._levels(len(clean), generator)
        alpha, sigma, sigma_start = (
            table[index].float().view(-1, 1, 1, 1, 1)
            for table, index in ((schedule.alphas, t), (schedule.sigmas, t), (schedule.sigmas, start))
        )
        # As in modelscope_i2v.training.objective: on the way from the source to the clean latents.
        noise = torch.randn(clean.shape, generator=generator)
        x = alpha * (clean + sigma / sigma_start * (source - clean) + sigma * noise)
        dropped = torch.rand(len(clean), generator=generator) < DROPOUT
        text = torch.where(dropped[:, None, None], self.empty, batch['condition'].float())
        found = alpha * x - alpha * sigma * model(x, t, text).float()
        error = found - clean
        gain = 10 * torch.log10((source - clean).square().mean() / error.detach().square().mean())
        return {'loss': error.abs().mean() + 5 * error.square().mean(), 'gain': gain}

    def _levels(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Timesteps, and the timesteps at which denoising of the sources starts, ``[count]`` each."""
        low, high = LEVELS
        start = torch.randint(low - 1, high, (count,), generator=generator)
        t = (torch.rand(count, generator=generator) * (start + 1)).long()
        usual = torch.rand(count, generator=generator) >= OTHER_LEVELS
        return (torch.where(usual, NOISE_LEVEL - 1, level) for level in (t, start))  # type: ignore[return-value]


@torch.no_grad()
def encoded_windows(
    path: Path,
    data: Data,
    encoder: AutoencoderKL,
    stage_1: AutoencoderKL,
    text: ClipTextEncoder,
    count: int,
    made_from: str,
    stop: Callable[[], bool] | None = None,
) -> Pool:
    """``count`` windows, each of another picture, kept in ``path``.

    Returns:
        Latents ``mean`` and, of what stage 2 is given, ``source``, both ``[N, C, 1, 32, 32]``, and text features
        ``condition [N, L, C]``.
    """
    if path.exists():
        check_made_from(path, made_from)
        return load_file(path)
    means, sources, texts = [], [], []
    for seed in range(count):
        if stop is not None and stop():
            raise KeyboardInterrupt('stopped while encoding windows')
        rng = np.random.default_rng((12, seed))
        scene = draw_scene(data, rng)
        frames = draw_frames(data, scene, 1)
        given = degraded(frames, rng, stage_1)
        top, left = (2 * int(place) for place in rng.integers(0, (SIDE - WINDOW) // 2 + 1, size=2))
        both = torch.cat([frames, given])[:, :, top : top + WINDOW, left : left + WINDOW]
        mean, source = encoder.encode(both)[0].half().chunk(2)
        means.append(mean.transpose(0, 1))
        sources.append(source.transpose(0, 1))
        texts.append(scene.text)
    tokens = build_tokenizer(CLIP['text_cfg']['context_length'])(texts)
    pool = {'mean': torch.stack(means), 'source': torch.stack(sources), 'condition': text(tokens).half()}
    write_tensors({name: value.contiguous() for name, value in pool.items()}, path, {MADE_FROM: made_from})
    return pool


class Batches(Dataset[dict[str, torch.Tensor]]):
    """Batches of a pool, in an order that depends on ``seed`` only."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self._pool, self._seed = pool, seed

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        count = len(self._pool['mean'])
        rng = np.random.default_rng((13, self._seed, number))
        chosen = torch.from_numpy(rng.choice(count, size=min(BATCH, count), replace=False))
        return {name: value[chosen] for name, value in self._pool.items()}


def train_unet(
    unet: VideoToVideoUNet,
    loss: Regression,
    pool: Pool,
    folder: Path,
    settings: LoopSettings = SETTINGS,
    made_from: str = '',
    stop: Callable[[], bool] | None = None,
) -> VideoToVideoUNet:
    """Train a new ``unet`` on windows. An interrupted training in ``folder`` is resumed."""
    set_attention_backend(unet, 'math')  # faster than fused attention at these sizes
    set_temporal_layers(unet, False)
    for module in unet.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # its noise would be all that is left of the error
    fit(unet, loss, Batches(pool, settings.seed), settings, folder, identity={MADE_FROM: made_from}, stop=stop)
    set_temporal_layers(unet, True)
    return unet


def unet_identity() -> tuple[Any, ...]:
    """What a trained UNet depends on, beside its data and the settings of the loop."""
    return UNET, BATCH, WINDOW, NOISE_LEVEL, OTHER_LEVELS, LEVELS, LAST_INPUT, DROPOUT

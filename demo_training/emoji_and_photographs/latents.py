"""Clips as the UNet learns them: latents, text features and image embeddings, computed once and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils.data import Dataset

from demo_training.emoji_and_photographs.architecture import CLIP
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.moves import FPS
from demo_training.emoji_and_photographs.towers import embed_images, seen_by_tower
from demo_training.emoji_and_photographs.world import make_clip, world_fingerprint
from demo_training.made_from import MADE_FROM, check_made_from
from modelscope_i2v.generation.prompt_tokens import build_tokenizer
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.networks.clip import ClipEncoders
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.weights.save import write_tensors

Pool = dict[str, torch.Tensor]

#: Clips per file: an interruption loses at most one file.
CLIPS_A_FILE = 100


@dataclass(frozen=True)
class Encoders:
    """The networks that see clips before the UNet does."""

    autoencoder: AutoencoderKL
    towers: ClipEncoders

    def text_features(self, texts: list[str]) -> torch.Tensor:
        """Features of texts, ``[N, L * C]``."""
        tokens = build_tokenizer(CLIP['text_cfg']['context_length'])(texts)
        out: torch.Tensor = self.towers.text(tokens).flatten(1)
        return out

    def unconditional(self) -> torch.Tensor:
        """The condition that stands for 'no condition': features of an empty text, no embedding; ``[1, L * C + E]``."""
        with torch.no_grad():
            return torch.cat([self.text_features(['']), torch.zeros(1, CLIP['embed_dim'])], dim=1)


@torch.no_grad()
def encoded_clips(
    folder: Path,
    data: Data,
    encoders: Encoders,
    seeds: range,
    num_frames: int,
    stop: Callable[[], bool] | None = None,
    kept: int | None = None,
) -> Pool:
    """The clips of ``seeds`` as ``mean [N, C, F, h, w]`` and ``condition [N, 1, L * C + E]``; kept in ``folder``.

    Args:
        num_frames: in a clip.
        kept: how many frames of each clip are in the pool, as ``numbers [N, kept]`` says: the first one and others by
            chance. None for all.

    Raises:
        ConfigurationError: if ``folder`` holds clips of another world or of other encoders.
        KeyboardInterrupt: once ``stop`` returns True, after a file.
    """
    frames = (num_frames,) if kept is None else (num_frames, kept)
    made_from = fingerprint(world_fingerprint(), encoders.autoencoder, encoders.towers, seeds, *frames)
    parts = []
    for first in seeds[::CLIPS_A_FILE]:
        path = folder / f'{first}.safetensors'
        if path.exists():
            check_made_from(path, made_from)
            parts.append(load_file(path))
            continue
        if stop is not None and stop():
            raise KeyboardInterrupt('stopped while encoding clips')
        part = _encode(data, encoders, seeds[first - seeds.start :][:CLIPS_A_FILE], num_frames, kept)
        write_tensors(part, path, {MADE_FROM: made_from})
        parts.append(part)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _encode(data: Data, encoders: Encoders, seeds: range, num_frames: int, kept: int | None) -> Pool:
    clips = [make_clip(data, seed, num_frames=num_frames) for seed in seeds]
    numbers = [_numbers(seed, num_frames, kept) for seed in seeds]
    mean = [
        _latents(encoders.autoencoder, to_pixels(clip.frames[chosen]))
        for clip, chosen in zip(clips, numbers, strict=True)
    ]
    seen = torch.stack([seen_by_tower(clip.frames[0]) for clip in clips])
    condition = torch.cat(
        [encoders.text_features([clip.text for clip in clips]), embed_images(encoders.towers, seen)], dim=1
    )
    pool = {'mean': torch.stack(mean).half(), 'condition': condition.unsqueeze(1).half()}
    return pool if kept is None else {**pool, 'numbers': torch.from_numpy(np.stack(numbers))}


def _numbers(seed: int, num_frames: int, kept: int | None) -> np.ndarray:
    """The numbers of the frames of a clip that are kept, in order."""
    if kept is None:
        return np.arange(num_frames)
    others = np.random.default_rng((8, seed)).choice(np.arange(1, num_frames), size=kept - 1, replace=False)
    return np.concatenate([[0], np.sort(others)])


def _latents(autoencoder: AutoencoderKL, frames: torch.Tensor) -> torch.Tensor:
    """Latents ``[C, F, h, w]`` of frames ``[F, 3, H, W]``; a still clip is encoded once."""
    still = bool((frames == frames[:1]).all())
    pieces = (frames[:1] if still else frames).split(8)
    mean = torch.cat([autoencoder.encode(piece)[0] for piece in pieces])
    return mean.expand(len(frames), -1, -1, -1).transpose(0, 1)


@dataclass(frozen=True)
class Batches(Dataset[dict[str, torch.Tensor]]):
    """Batches of clips of a pool, in an order that depends on ``seed`` only."""

    pool: Pool
    size: int
    seed: int = 0

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        count = len(self.pool['mean'])
        order = np.random.default_rng((6, self.seed, number)).choice(count, size=min(self.size, count), replace=False)
        chosen = torch.from_numpy(order)
        mean = self.pool['mean'][chosen].float()
        return {
            **{name: values[chosen] for name, values in self.pool.items()},
            'mean': mean,
            'logvar': torch.full_like(mean, -30.0),
            'condition': self.pool['condition'][chosen].float(),
            'fps': torch.full((len(mean),), float(FPS)),
        }

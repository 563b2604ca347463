"""Examples that are drawn and encoded once: encoding takes longer than learning from the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from modelscope_i2v.training.fingerprint import MADE_FROM, check_made_from, fingerprint
from modelscope_i2v.training.world import world_fingerprint
from modelscope_i2v.weights.save import write_tensors

Pool = dict[str, torch.Tensor]


@torch.no_grad()
def kept_pool(path: Path, seeds: range, encode: Callable[[int], Pool], *encoders: object) -> Pool:
    """What ``encode`` makes of each of ``seeds``, stacked; kept in ``path``.

    Args:
        encoders: the networks that ``encode`` uses, and whatever else it depends on.

    Raises:
        ConfigurationError: if the pool in ``path`` is of other seeds or encoders, or of another world.
    """
    made_from = fingerprint(world_fingerprint(), seeds, *encoders)
    if path.exists():
        check_made_from(path, made_from)
        return load_file(path)
    examples = [encode(seed) for seed in seeds]
    pool = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
    write_tensors(pool, path, {MADE_FROM: made_from})
    return pool


def encode_frames(autoencoder: torch.nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Means of the posteriors of frames ``[F, 3, H, W]`` in [-1, 1]: float16 ``[4, F, h, w]`` on the CPU."""
    device = next(autoencoder.parameters()).device
    mean: torch.Tensor = autoencoder.encode(frames.to(device))[0]  # type: ignore[operator]
    return mean.transpose(0, 1).half().cpu()

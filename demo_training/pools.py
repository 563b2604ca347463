"""Examples that are drawn and encoded only once, because encoding takes longer than training on the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from demo_training.made_from import MADE_FROM, check_made_from
from demo_training.world import world_fingerprint
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.weights.save import write_tensors

Pool = dict[str, torch.Tensor]

#: Seeds per file: an interruption loses at most one file, which is a minute or two of work.
SEEDS_A_FILE = 1000


@torch.no_grad()
def kept_pool(folder: Path, seeds: range, encode: Callable[[int], Pool], *encoders: object) -> Pool:
    """The results of ``encode`` for all ``seeds``, stacked and kept in ``folder``.

    Args:
        encoders: the networks that ``encode`` uses, and anything else that its result depends on.

    Raises:
        ConfigurationError: if ``folder`` holds results of other seeds, other encoders or another world.
    """
    made_from = fingerprint(world_fingerprint(), seeds, *encoders)
    parts = []
    for first in seeds[::SEEDS_A_FILE]:
        path = folder / f'{first}.safetensors'
        if path.exists():
            check_made_from(path, made_from)
            part = load_file(path)
        else:
            examples = [encode(seed) for seed in range(first, min(first + SEEDS_A_FILE, seeds.stop))]
            part = {name: torch.stack([example[name] for example in examples]) for name in examples[0]}
            write_tensors(part, path, {MADE_FROM: made_from})
        parts.append(part)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def encode_frames(autoencoder: torch.nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Means of the posteriors of frames ``[F, 3, H, W]`` in [-1, 1]: float16 ``[4, F, h, w]`` on the CPU."""
    device = next(autoencoder.parameters()).device
    mean: torch.Tensor = autoencoder.encode(frames.to(device))[0]  # type: ignore[operator]
    return mean.transpose(0, 1).half().cpu()

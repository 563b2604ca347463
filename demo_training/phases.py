"""Two phases for both UNets: first single frames, to learn what things look like, then videos, to learn how they move.

Frames are cheap and teach shapes. The temporal layers add nothing at first (Ho et al. 2022, arXiv 2204.03458).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from demo_training.made_from import MADE_FROM
from demo_training.temporal import set_temporal_layers, zero_temporal_outputs
from modelscope_i2v.networks import set_attention_backend
from modelscope_i2v.networks.unet import SpatioTemporalUNet
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.objective import Objective


def train_in_phases(
    unet: SpatioTemporalUNet,
    loss: Objective,
    pictures: tuple[Dataset[Any], LoopSettings],
    videos: tuple[Dataset[Any], LoopSettings],
    folder: Path,
    made_from: str,
) -> None:
    """Train the spatial layers of a new ``unet`` on ``pictures``, then all layers on ``videos``.

    Each is a pair of batches and settings. An interrupted training in ``folder`` is resumed if it has the same
    ``made_from``, see :func:`~modelscope_i2v.training.fingerprint.fingerprint`.
    """
    identity = {MADE_FROM: made_from}
    zero_temporal_outputs(unet)
    set_attention_backend(unet, 'math')  # faster than fused attention at these sizes
    set_temporal_layers(unet, False)
    fit(unet, loss, *pictures, folder / 'pictures', identity=identity)
    set_temporal_layers(unet, True)
    fit(unet, loss, *videos, folder / 'videos', identity=identity)

"""Two phases for both UNets: what things look like, learnt from single frames, then how they move.

Frames are cheap and teach shapes; the temporal layers start from adding nothing (Ho et al. 2022, arXiv 2204.03458).
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

    Each is batches and how to learn from them. An interrupted training in ``folder`` goes on if it was made from the
    same, see :func:`~modelscope_i2v.training.fingerprint.fingerprint`.
    """
    identity = {MADE_FROM: made_from}
    zero_temporal_outputs(unet)
    set_attention_backend(unet, 'math')  # faster than fused attention at these sizes
    set_temporal_layers(unet, False)
    fit(unet, loss, *pictures, folder / 'pictures', identity=identity)
    set_temporal_layers(unet, True)
    fit(unet, loss, *videos, folder / 'videos', identity=identity)

"""CLIP's image tower as an encoder of frames. Neither UNet nor autoencoder is loaded."""

from __future__ import annotations

import os

import torch
from PIL import Image

from modelscope_i2v.checks import choice
from modelscope_i2v.embedded import embedded_model
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.generation.load import find_model
from modelscope_i2v.media.images.conditioning import pixel_values
from modelscope_i2v.metrics.embeddings import Encoder
from modelscope_i2v.networks import ClipImageEncoder
from modelscope_i2v.networks.build import build_on_meta
from modelscope_i2v.networks.clip import IMAGE_MEAN, IMAGE_STD, ClipEncoders, clip_image_size
from modelscope_i2v.runtime.device import resolve_device
from modelscope_i2v.runtime.out_of_memory import memory_errors
from modelscope_i2v.stage import first_stage
from modelscope_i2v.weights import load_weights


def load_image_encoder(
    model: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    *,
    offline: bool = False,
    device: str | None = None,
    fit: str = 'crop',
) -> Encoder:
    """Load the CLIP image tower of a stage-1 model, in float32, as an encoder.

    Args:
        model, revision, offline: the model's folder or hub id, as for :func:`modelscope_i2v.load`; None uses the
            embedded model.
        device: where the tower runs; None uses a GPU if there is one.
        fit: see :func:`image_encoder`.

    Raises:
        ConfigurationError, CheckpointError, DeviceError: if the model, its weights or the device cannot be used.
    """
    target = resolve_device(device or ('gpu' if torch.cuda.is_available() else 'cpu'))
    snapshot = find_model(model or embedded_model(), revision, offline=offline)
    stage, configuration = snapshot.folder.stage, snapshot.folder.configuration
    with snapshot.folder.error_context():
        towers = build_on_meta(lambda: stage.networks['ckpt_clip'](configuration))
        side = clip_image_size(configuration.clip)
    tower = towers.image if isinstance(towers, ClipEncoders) else towers
    if not isinstance(tower, ClipImageEncoder):
        raise ConfigurationError(
            f"'{snapshot.folder.path}' is a model for {stage.task}, which has no image tower. Choose one for "
            f'{first_stage().task}.'
        )
    folder = snapshot.complete()
    with memory_errors('Choose another device.'):
        load_weights(towers, folder.files['ckpt_clip'], dtype=torch.float32)
        tower.to(target)
    return image_encoder(tower.eval().requires_grad_(False), side, fit)


def image_encoder(tower: torch.nn.Module, side: int, fit: str = 'crop') -> Encoder:
    """An encoder that prepares frames as stage 1 prepares its input picture, and passes them to ``tower``.

    Args:
        tower: normalised images ``[N, 3, side, side]`` -> ``[N, D]``.
        fit: ``'crop'`` uses the central square, as stage 1 does; ``'contain'`` uses the whole frame, padded.

    Raises:
        InputError: for another ``fit``.
    """
    choice('fit', fit, ('crop', 'contain'), error=InputError)

    def encode(frames: torch.Tensor) -> torch.Tensor:
        weight = next(tower.parameters())
        pixels = frames.mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        squares = [pixel_values(Image.fromarray(frame), side, fit, IMAGE_MEAN, IMAGE_STD) for frame in pixels]
        out: torch.Tensor = tower(torch.cat(squares).to(weight.device, weight.dtype))
        return out

    return encode

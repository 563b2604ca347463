"""The model that runs without any download: an ordinary model folder, written into the cache when first asked for.

Its weights are synthetic (see :mod:`modelscope_i2v.weights.synthetic`): it exercises everything and has learnt nothing,
so its videos are texture.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modelscope_i2v import __version__
from modelscope_i2v.checks import choice
from modelscope_i2v.configuration_file import FILE_NAME
from modelscope_i2v.errors import InputError, OutputError
from modelscope_i2v.registration import IMAGE_TO_VIDEO, STAGES, VIDEO_TO_VIDEO, Stage

CACHE_VARIABLE = 'MODELSCOPE_I2V_CACHE'

_UNET = {
    'model_channels': 64,
    'channel_mult': [1, 2],
    'num_res_blocks': 1,
    'attention_resolutions': [2],
    'num_heads': 4,
    'num_head_channels': 16,
    'context_dim': 64,
}
_AUTOENCODER = {'channels': 32, 'channel_mult': [1, 1, 2, 2], 'num_res_blocks': 1, 'norm_num_groups': 8}
_CLIP = {
    'embed_dim': 64,
    'vision_cfg': {'image_size': 64, 'layers': 2, 'width': 64, 'head_width': 16, 'patch_size': 16},
    'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 64, 'heads': 4, 'layers': 2},
}
_FILES = {
    'ckpt_unet': 'unet.safetensors',
    'ckpt_clip': 'clip.safetensors',
    'ckpt_autoencoder': 'autoencoder.safetensors',
}
#: UNet and CLIP tower of each task.
_NETWORKS = {
    IMAGE_TO_VIDEO.task: ('ImageToVideoUNet', 'ClipImageEncoder'),
    VIDEO_TO_VIDEO.task: ('VideoToVideoUNet', 'ClipTextEncoder'),
}
_MODEL_CFG: dict[str, dict[str, Any]] = {
    IMAGE_TO_VIDEO.task: {
        'target_fps': 8,
        'max_frames': 16,
        'latent_hei': 8,
        'latent_wid': 8,
        'steps': 20,
        'unet': {**_UNET, 'image_embed_dim': 64},
        'autoencoder': _AUTOENCODER,
        'clip': _CLIP,
    },
    VIDEO_TO_VIDEO.task: {
        'target_fps': 8,
        'max_frames': 16,
        'height': 128,
        'width': 128,
        'solver': 'dpmpp_2m_sde',
        'steps': 8,
        'unet': _UNET,
        'autoencoder': _AUTOENCODER,
        'clip': _CLIP,
    },
}


def embedded_model(task: str = IMAGE_TO_VIDEO.task) -> str:
    """The folder of the embedded model for ``task``, for ``pipeline(task=task, model=...)``.

    It is written once, whole, into ``$MODELSCOPE_I2V_CACHE`` (default: ``~/.cache/modelscope_i2v``).

    Raises:
        InputError: for an unknown task.
        OutputError: if the cache cannot be written.
    """
    from safetensors import SafetensorError

    choice('task', task, [stage.task for stage in STAGES], error=InputError)
    cache = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / '.cache' / 'modelscope_i2v')
    stage = next(stage for stage in STAGES if stage.task == task)
    # A folder for each recipe: an upgrade that changes it must not find the files of the old one.
    digest = zlib.crc32(json.dumps(_MODEL_CFG, sort_keys=True).encode())
    folder = cache / f'embedded-{__version__}-{digest:08x}' / stage.default_hub_model.rpartition('/')[2]
    if not (folder / FILE_NAME).is_file():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            _write(stage, folder)
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"The embedded model cannot be written to '{folder}': {error}. Set {CACHE_VARIABLE} to another folder."
            ) from error
    return str(folder)


def _write(stage: Stage, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        write_model(stage, draft)
        try:
            draft.rename(folder)
        except OSError:
            # Another process may have been faster; its folder is the same.
            if not (folder / FILE_NAME).is_file():
                raise


def write_model(stage: Stage, folder: Path) -> None:
    """Write configuration and synthetic float16 weights of the embedded model of ``stage`` to a new ``folder``."""
    from safetensors.torch import save_file

    from modelscope_i2v import networks
    from modelscope_i2v.weights import build_on_meta
    from modelscope_i2v.weights.synthetic import synthetic_state_dict

    unet, clip = (getattr(networks, name) for name in _NETWORKS[stage.task])
    model_cfg = _MODEL_CFG[stage.task]
    parts: dict[str, nn.Module] = {
        'ckpt_unet': build_on_meta(lambda: unet(**model_cfg['unet'])),
        'ckpt_clip': build_on_meta(lambda: clip(model_cfg['clip'])),
        'ckpt_autoencoder': build_on_meta(lambda: networks.AutoencoderKL(**model_cfg['autoencoder'])),
    }
    folder.mkdir(parents=True)
    for name, network in parts.items():
        shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
        weights = {key: tensor.to(torch.float16) for key, tensor in synthetic_state_dict(shapes).items()}
        save_file(weights, folder / _FILES[name])
    configuration = {
        'framework': 'pytorch',
        'task': stage.task,
        'model': {'type': stage.model, 'model_args': _FILES, 'model_cfg': model_cfg},
        'preprocessor': {'type': stage.preprocessor},
        'pipeline': {'type': stage.pipeline},
    }
    (folder / FILE_NAME).write_text(json.dumps(configuration, indent=2) + '\n', encoding='utf-8')

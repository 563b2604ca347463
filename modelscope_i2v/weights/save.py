"""Write a model's folder: compact safetensors files and a ``configuration.json`` that loads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.files import output_errors, replacing, write_json
from modelscope_i2v.model_folder import FILE_NAME
from modelscope_i2v.stage import Stage

#: Names of the weight files in the folders that we write.
WEIGHT_FILES = {
    'ckpt_unet': 'unet.safetensors',
    'ckpt_clip': 'clip.safetensors',
    'ckpt_autoencoder': 'autoencoder.safetensors',
}


def write_tensors(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all.

    Raises:
        OutputError: if it cannot be written; an existing file is then unchanged.
    """
    with replacing(path) as draft, output_errors(path, SafetensorError):
        mode = draft.stat().st_mode
        save_file(dict(tensors), draft, dict(metadata) if metadata else None)
        draft.chmod(mode)  # safetensors creates its own file, which only its owner may read


def abandoned_drafts(folder: Path) -> list[Path]:
    """The files that killed writers left in ``folder``: our drafts, and those of safetensors."""
    return [path for pattern in ('.*.partial', '.tmp??????') for path in folder.glob(pattern) if path.is_file()]


def remove_abandoned_drafts(folder: Path) -> None:
    """Remove :func:`abandoned_drafts`; call it only if nobody else is writing to ``folder``.

    Raises:
        OutputError: if one cannot be removed.
    """
    with output_errors(folder):
        for draft in abandoned_drafts(folder):
            draft.unlink()


def save_weights(
    module: nn.Module, path: Path, dtype: torch.dtype | None = None, metadata: Mapping[str, str] | None = None
) -> None:
    """Write the state dict of ``module``, with floating-point tensors as ``dtype`` (None: unchanged).

    Raises:
        CheckpointError: if a weight is not finite as ``dtype``. OutputError: as :func:`write_tensors`.
    """
    tensors = {
        key: tensor.detach().to('cpu', dtype if tensor.is_floating_point() else None).contiguous()
        for key, tensor in module.state_dict().items()
    }
    for key, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"'{key}' is not finite as {tensor.dtype}. Save it as float32, or train again.")
    write_tensors(tensors, path, metadata)


def save_model(
    folder: Path,
    stage: Stage,
    networks: Mapping[str, nn.Module],
    model_cfg: Mapping[str, Any],
    *,
    model_args: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = torch.float16,
) -> None:
    """Write a folder that :func:`modelscope_i2v.load` loads.

    Args:
        networks: the networks by the keys ``ckpt_unet``, ``ckpt_clip`` and ``ckpt_autoencoder``.
        model_cfg, model_args: sections of the configuration; the names of the weight files are added.

    Raises:
        CheckpointError: if a weight is too large for ``dtype``. OutputError: if something cannot be written. The
            configuration is removed first and written last, so that half-new weights are never mistaken for a model.
    """
    with output_errors(folder / FILE_NAME):
        (folder / FILE_NAME).unlink(missing_ok=True)
    remove_abandoned_drafts(folder)
    for key, network in networks.items():
        save_weights(network, folder / WEIGHT_FILES[key], dtype)
    write_json(configuration_of(stage, {**WEIGHT_FILES, **(model_args or {})}, model_cfg), folder / FILE_NAME)


def configuration_of(stage: Stage, model_args: Mapping[str, Any], model_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``configuration.json`` for a model of ``stage``."""
    return {
        'framework': 'pytorch',
        'task': stage.task,
        'model': {'type': stage.model, 'model_args': dict(model_args), 'model_cfg': dict(model_cfg)},
        'preprocessor': {'type': stage.preprocessor},
        'pipeline': {'type': stage.pipeline},
    }

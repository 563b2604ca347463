"""Encoded clips on disk: the encoders are not trained, so they need to run only once per clip, not once per step."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from modelscope_i2v.checks import number
from modelscope_i2v.errors import InputError
from modelscope_i2v.files import open_regular, output_errors, replacing

logger = logging.getLogger(__name__)

# Part of every key: after a change of the file layout, old files are not found instead of misread.
_LAYOUT = 1


@dataclass(frozen=True)
class EncodedClip:
    """A clip as a training step needs it. All tensors are float16, on the CPU, detached and finite.

    Attributes:
        mean, logvar: the autoencoder's Gaussian posterior, before the scale factor, ``[4, F, h, w]``.
        condition: stage 1: the image embedding ``[1, E]``; stage 2: the text features ``[L, C]``.
        fps: the frame rate that stage 1 gets as an input.

    Raises:
        InputError: for an impossible value. It names the attribute, what was found and what is allowed.
    """

    mean: torch.Tensor
    logvar: torch.Tensor
    condition: torch.Tensor
    fps: float

    def __post_init__(self) -> None:
        for name, dimensions in (('mean', 4), ('logvar', 4), ('condition', 2)):
            tensor = getattr(self, name)
            found = f'{tensor.dtype} {list(tensor.shape)} on {tensor.device}'
            if tensor.dtype != torch.float16 or tensor.ndim != dimensions or tensor.device.type != 'cpu':
                raise InputError(f"'{name}' must be float16 with {dimensions} dimensions on the CPU, found {found}.")
            if tensor.requires_grad or not bool(torch.isfinite(tensor).all()):
                raise InputError(f"'{name}' must be detached and finite in float16, found {found}, which is not.")
        if self.mean.shape != self.logvar.shape:
            shapes = f'{list(self.mean.shape)} and {list(self.logvar.shape)}'
            raise InputError(f"'mean' and 'logvar' must have the same shape, found {shapes}.")
        number('fps', self.fps, 0, 1e6, open_low=True, error=InputError)

    @classmethod
    def of(cls, mean: torch.Tensor, logvar: torch.Tensor, condition: torch.Tensor, fps: float) -> EncodedClip:
        """Build it from tensors of any floating-point type, on any device. Errors as for the class."""

        def kept(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.detach().to('cpu', torch.float16).contiguous()

        return cls(kept(mean), kept(logvar), kept(condition), fps)


class LatentCache:
    """Encoded clips in ``folder``, one safetensors file each. Several processes may share it.

    Args:
        folder: created on the first write. Its files may be deleted at any time.
        fingerprint: the fingerprint of the encoders. Clips from other encoders are not found.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str) -> None:
        self.folder = Path(folder)
        self.fingerprint = fingerprint

    def key(self, source: Path, *parameters: object) -> str:
        """The key of a clip encoded from the file ``source`` with ``parameters`` (compared by their ``repr``).

        A different size or modification time of the file gives a different key.

        Raises:
            InputError: if the file does not exist.
        """
        try:
            status = source.stat()
        except OSError as error:
            raise InputError(f"The training file '{source}' cannot be found: {error.strerror}.") from error
        file = (os.fspath(source.absolute()), status.st_size, status.st_mtime_ns)
        content = repr((_LAYOUT, self.fingerprint, file, parameters))
        return hashlib.sha256(content.encode('utf-8', 'surrogateescape')).hexdigest()

    def path(self, key: str) -> Path:
        """The file of the clip with key ``key``."""
        return self.folder / key[:2] / f'{key}.safetensors'

    def get(self, key: str) -> EncodedClip | None:
        """The clip with key ``key``; None if there is none, or, with a warning, if its file is damaged.

        Raises:
            InputError: if the file cannot be read.
        """
        path = self.path(key)
        try:
            with open_regular(path) as file:
                content = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"The file '{path}' of the latent cache cannot be read: {error.strerror}.") from error
        try:
            tensors = load(content)
            fps = float(tensors.pop('fps'))
            return EncodedClip(**tensors, fps=fps)
        except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RuntimeError) as error:
            logger.warning("The file '%s' of the latent cache is damaged (%s). The clip is encoded again.", path, error)
            return None

    def put(self, key: str, clip: EncodedClip) -> None:
        """Store ``clip`` under ``key``, completely or not at all.

        Raises:
            OutputError: if it cannot be written.
        """
        tensors = {name: getattr(clip, name).contiguous() for name in ('mean', 'logvar', 'condition')}
        content = save({**tensors, 'fps': torch.tensor(clip.fps, dtype=torch.float64)})
        with replacing(self.path(key)) as draft, output_errors(self.path(key)):
            draft.write_bytes(content)

"""Pixel-wise comparison with another video, using torchmetrics (in the extra ``train``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.metrics.frames import Frames, as_frames
from modelscope_i2v.version import INSTALL

if TYPE_CHECKING:
    from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

#: The side length of SSIM's window.
_WINDOW = 11


def psnr(source: Frames, frames: Frames) -> float:
    """Peak signal-to-noise ratio in dB, ``-10 log10(mean((x - y)^2))`` over the whole clip: at least 0, inf if equal.

    Frames are matched as in :func:`common`.

    Raises:
        ConfigurationError: if torchmetrics is not installed.
    """
    pair = common(as_frames(source), as_frames(frames))
    return float(psnr_metric().to(pair[0].device)(*pair))


def ssim(source: Frames, frames: Frames) -> float:
    """Mean structural similarity (Wang et al. 2004) over all frames and colours: -1..1, 1 if equal.

    Gaussian window of 11x11 pixels, sigma 1.5, K1 = 0.01, K2 = 0.03. Frames are matched as in :func:`common`.

    Raises:
        ConfigurationError: if torchmetrics is not installed. InputError: for frames smaller than 11 x 11 pixels.
    """
    pair = large_enough(*common(as_frames(source), as_frames(frames)))
    return float(ssim_metric().to(pair[0].device)(*pair))


def common(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both clips ``[F, 3, H, W]``, cut to the shorter length and reduced to the smaller height and the smaller width.

    They are reduced (bilinear, antialiased) rather than enlarged, because they can only agree in detail that both have.
    """
    count = min(len(first), len(second))
    height, width = (min(sides) for sides in zip(first.shape[2:], second.shape[2:], strict=True))
    return _resized(first[:count], height, width), _resized(second[:count].to(first.device), height, width)


def large_enough(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both clips; raises InputError if they are smaller than SSIM's window."""
    height, width = first.shape[2:]
    if min(height, width) < _WINDOW:
        raise InputError(f'SSIM needs at least {_WINDOW} pixels per side, found frames of {width} x {height}.')
    return first, second


def psnr_metric() -> PeakSignalNoiseRatio:
    """A metric that accumulates PSNR over pieces of a clip; raises ConfigurationError without torchmetrics."""
    check_torchmetrics()
    from torchmetrics.image import PeakSignalNoiseRatio

    return PeakSignalNoiseRatio(data_range=1.0)


def ssim_metric() -> StructuralSimilarityIndexMeasure:
    """A metric that accumulates SSIM over pieces of a clip; raises ConfigurationError without torchmetrics."""
    check_torchmetrics()
    from torchmetrics.image import StructuralSimilarityIndexMeasure

    return StructuralSimilarityIndexMeasure(data_range=1.0, kernel_size=_WINDOW, sigma=1.5)


def check_torchmetrics() -> None:
    """Raise ConfigurationError, saying what to install, unless torchmetrics can be imported."""
    try:
        import torchmetrics.image  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            f'PSNR and SSIM need torchmetrics, which cannot be imported ({error}). Run {INSTALL.format(extra="train")}.'
        ) from error


def _resized(frames: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if frames.shape[2:] == (height, width):
        return frames
    return F.interpolate(frames, (height, width), mode='bilinear', antialias=True).clamp(0, 1)

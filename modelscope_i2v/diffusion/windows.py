"""Videos of any length: overlapping temporal windows, blended into one estimate at every step."""

from __future__ import annotations

import torch

from modelscope_i2v.checks import integer
from modelscope_i2v.diffusion.denoiser import Denoiser
from modelscope_i2v.errors import InputError


def window_starts(num_frames: int, window: int, overlap: int) -> list[int]:
    """The first frames of windows of ``window`` frames that cover ``num_frames`` and overlap by at least ``overlap``.

    All but the last are ``window - overlap`` apart; the last ends with the video.

    Raises:
        InputError: unless ``0 <= overlap < window``.
    """
    integer('window_overlap', overlap, 0, window - 1, error=InputError)
    if num_frames <= window:
        return [0]
    starts = list(range(0, num_frames - window, window - overlap))
    return [*starts, num_frames - window]


def blend_weights(num_frames: int, window: int, overlap: int) -> list[torch.Tensor]:
    """The weight of each window in each of its frames: ``[window]`` per window; they sum to 1 in every frame.

    Inside an overlap the earlier window fades out linearly while the later one fades in.
    """
    starts = window_starts(num_frames, window, overlap)
    length = min(window, num_frames)
    position = torch.arange(length, dtype=torch.float32)
    weights, total = [], torch.zeros(num_frames)
    for index, start in enumerate(starts):
        weight = torch.ones(length)
        if index > 0:
            shared = starts[index - 1] + length - start
            weight = torch.minimum(weight, (position + 1) / (shared + 1))
        if index < len(starts) - 1:
            shared = start + length - starts[index + 1]
            weight = torch.minimum(weight, (length - position) / (shared + 1))
        weights.append(weight)
        total[start : start + length] += weight
    return [weight / total[start : start + length] for weight, start in zip(weights, starts, strict=True)]


def temporal_windows(denoiser: Denoiser, num_frames: int, window: int, overlap: int) -> Denoiser:
    """A denoiser for ``num_frames`` frames that shows ``denoiser`` at most ``window`` of them at a time.

    The estimates of x0 ``[B, C, F, h, w]`` are blended with :func:`blend_weights`. A sampler that uses it takes one
    step for the whole video, so neighbouring windows see each other's results at the next step (Bar-Tal et al. 2023,
    MultiDiffusion, arXiv 2302.08113, in time instead of space). Up to ``window`` frames, returns ``denoiser``.

    Raises:
        InputError: unless ``0 <= overlap < window``.
    """
    starts = window_starts(num_frames, window, overlap)
    if len(starts) == 1:
        return denoiser
    weights = blend_weights(num_frames, window, overlap)

    def denoise(x: torch.Tensor, sigma: float) -> torch.Tensor:
        blended = torch.zeros_like(x)
        for weight, start in zip(weights, starts, strict=True):
            part = slice(start, start + window)
            scaled = denoiser(x[:, :, part], sigma) * weight.to(x).view(1, 1, -1, 1, 1)
            blended[:, :, part] += scaled
        return blended

    return denoise

"""Measures on clips ``[N, F, 3, H, W]``: is the sprite there, in its colour, and does it move as real ones do?

Functions return one number per clip, ``[N]``, unless they say otherwise, and NaN where there is nothing to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from benchmarks.quality.held_out import SpriteClips

#: Pixels around the sprite that are not background either: its soft outline, and blur from the autoencoder.
MARGIN = 3


def segment(videos: torch.Tensor, truth: SpriteClips) -> torch.Tensor:
    """Bool ``[N, F, H, W]``: pixels nearer (Euclidean, RGB) to the sprite's colour than to the background there."""
    to_sprite = (videos - truth.colour[:, None, :, None, None]).square().sum(dim=2)
    to_background = (videos - truth.background[:, None]).square().sum(dim=2)
    return to_sprite < to_background


def dilate(masks: torch.Tensor, margin: int = MARGIN) -> torch.Tensor:
    """Bool ``[N, F, H, W]``, grown by ``margin`` pixels in all eight directions."""
    side = 2 * margin + 1
    rows = functional.max_pool2d(masks.float(), (1, side), stride=1, padding=(0, margin))
    return functional.max_pool2d(rows, (side, 1), stride=1, padding=(margin, 0)) > 0.5


def sprite_present(masks: torch.Tensor, truth: SpriteClips) -> torch.Tensor:
    """Share of frames whose segmented area is 0.5 to 2 times the true one (0..1)."""
    ratio = masks.sum(dim=(2, 3)) / truth.area[:, None]
    return ((ratio >= 0.5) & (ratio <= 2)).float().mean(dim=1)


def sprite_colour_error(videos: torch.Tensor, masks: torch.Tensor, truth: SpriteClips) -> torch.Tensor:
    """Mean absolute difference (0..1) of the mean colour of segmented pixels from that of real ones, mean over frames.

    Means are compared because the sprite is shaded: its pixels differ from any one colour, the real ones too.
    """
    count = masks.sum(dim=(2, 3))[..., None]  # [N, F, 1]
    mean = (videos * masks[:, :, None]).sum(dim=(3, 4)) / count.where(count > 0, torch.nan)
    return (mean - truth.colour[:, None]).abs().mean(dim=2).nanmean(dim=1)


def sprite_pixel_error(videos: torch.Tensor, masks: torch.Tensor, truth: SpriteClips) -> torch.Tensor:
    """Mean absolute difference (0..1) of segmented pixels from the mean colour of real ones; not 0 for real clips."""
    difference = (videos - truth.colour[:, None, :, None, None]).abs().mean(dim=2)
    count = masks.sum(dim=(1, 2, 3))
    return (difference * masks).sum(dim=(1, 2, 3)) / count.where(count > 0, torch.nan)


def background_error(videos: torch.Tensor, masks: torch.Tensor, truth: SpriteClips) -> torch.Tensor:
    """Mean absolute difference (0..1) from the known background, over pixels away from the segmented sprite."""
    away = ~dilate(masks)
    difference = (videos - truth.background[:, None]).abs().mean(dim=2)
    count = away.sum(dim=(1, 2, 3))
    return (difference * away).sum(dim=(1, 2, 3)) / count.where(count > 0, torch.nan)


def background_temporal_std(videos: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Standard deviation over frames (0..1), mean over the pixels away from the sprite in every frame and channels."""
    still = ~dilate(masks).any(dim=1)  # [N, H, W]
    deviation = videos.std(dim=1, correction=0).mean(dim=1)
    count = still.sum(dim=(1, 2))
    return (deviation * still).sum(dim=(1, 2)) / count.where(count > 0, torch.nan)


def frame_change(videos: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference (0..1) of neighbouring frames."""
    return videos.diff(dim=1).abs().mean(dim=(1, 2, 3, 4))


def second_difference(videos: torch.Tensor) -> torch.Tensor:
    """Mean absolute second difference over frames, ``|x[t+1] - 2 x[t] + x[t-1]|``: large for flicker."""
    return videos.diff(n=2, dim=1).abs().mean(dim=(1, 2, 3, 4))


def centroids(masks: torch.Tensor) -> torch.Tensor:
    """``[N, F, 2]``: x and y of the mean of segmented pixels; NaN in frames without any."""
    height, width = masks.shape[-2:]
    x = (masks.sum(dim=2) * torch.arange(width)).sum(dim=2)
    y = (masks.sum(dim=3) * torch.arange(height)).sum(dim=2)
    count = masks.sum(dim=(2, 3))[..., None]
    return torch.stack([x, y], dim=2) / count.where(count > 0, torch.nan)


def sprite_motion(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Speed and acceleration of the centroid: mean length of its first and second difference, pixels per frame."""
    path = centroids(masks)
    return path.diff(dim=1).norm(dim=2).nanmean(dim=1), path.diff(n=2, dim=1).norm(dim=2).nanmean(dim=1)


def judge_sprites(videos: torch.Tensor, truth: SpriteClips) -> dict[str, float]:
    """All measures of sprite clips but the shape, as means over clips; changes relative to the real clips'."""
    masks = segment(videos, truth)
    speed, acceleration = sprite_motion(masks)
    values = {
        'sprite present': sprite_present(masks, truth),
        'sprite colour error': sprite_colour_error(videos, masks, truth),
        'sprite pixel error': sprite_pixel_error(videos, masks, truth),
        'background error': background_error(videos, masks, truth),
        'background temporal std': background_temporal_std(videos, masks),
        'sprite speed': speed,
        'sprite acceleration': acceleration,
    }
    return {**{name: float(value.nanmean()) for name, value in values.items()}, **judge_motion(videos, truth.clips)}


def judge_motion(videos: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
    """Frame change and second difference, mean over clips, each relative to the mean of ``real`` clips.

    ``still clips`` is the share (0..1) whose frame change is below a quarter of that mean: a few lively clips must not
    make up for frozen ones.
    """
    change, real_change = frame_change(videos), frame_change(real).mean()
    return {
        **judge_world_motion({'': (videos, real)}, {'': 1.0}),
        'still clips': float((change < real_change / 4).float().mean()),
    }


def judge_world_motion(
    clips: Mapping[str, tuple[torch.Tensor, torch.Tensor]], shares: Mapping[str, float]
) -> dict[str, float]:
    """:func:`judge_motion` of a world whose kinds of clips, ``(videos, real ones)`` each, have ``shares`` (sum 1)."""

    def ratio(measure: Callable[[torch.Tensor], torch.Tensor]) -> float:
        made, real = (
            sum(share * float(measure(clips[kind][index]).mean()) for kind, share in shares.items()) for index in (0, 1)
        )
        return made / real

    return {'frame change': ratio(frame_change), 'second difference': ratio(second_difference)}

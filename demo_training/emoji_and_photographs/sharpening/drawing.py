"""Draw the scenes of stage 1 at twice its size, and what stage 2 is given of them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.moves import camera_maps, chained, sprite_maps
from demo_training.emoji_and_photographs.rendering import camera
from demo_training.emoji_and_photographs.scenes import Scene
from modelscope_i2v.generation.geometry import stretch
from modelscope_i2v.networks import AutoencoderKL

#: Pixels per side of what is drawn.
SIDE = 256
#: How often a source comes out of stage 1's autoencoder, is blurred, or is made smaller by other filters than averages.
AS_STAGE_1, BLURRED, RESAMPLED = 0.2, 0.1, 0.2


def draw_frames(data: Data, scene: Scene, num_frames: int) -> torch.Tensor:
    """The frames of a scene as ``[F, 3, 256, 256]`` in [-1, 1], drawn as stage 1's, with as many grey values."""
    seen = camera_maps(scene.camera_move, num_frames)
    if scene.crop is None:
        background = _placed(_gradient(*scene.colours).expand(num_frames, -1, -1, -1), seen, 'reflection')
    else:
        index, part = scene.crop
        crop = _channels_first(data.photographs.crops[index][None], part.mirrored)
        first = camera(torch.tensor([part.centre]), torch.tensor([part.scale]), torch.tensor([part.angle]))
        background = _placed(crop.expand(num_frames, -1, -1, -1), chained(seen, first), 'reflection')
    if scene.emoji is not None:
        index, start, place = scene.emoji
        sprites = _channels_first(data.emoji.clip(index, start, num_frames if scene.is_animated else 1), place.mirrored)
        maps = chained(seen, sprite_maps(scene.sprite_move, place.centre, place.scale, place.angle, num_frames))
        opacity = sprites[:, 3:]
        # Interpolating plain colours would mix in the colour of what cannot be seen.
        weighted = torch.cat([sprites[:, :3] * opacity, opacity], dim=1).expand(num_frames, -1, -1, -1)
        drawn = _placed(weighted, maps, 'zeros')
        background = drawn[:, :3] + (1 - drawn[:, 3:]) * background
    return 2 * (255 * background.clamp(0, 1)).round() / 255 - 1


def halved(frames: torch.Tensor) -> torch.Tensor:
    """Frames ``[F, 3, H, W]`` of half the size, by averages over squares of four pixels."""
    return functional.avg_pool2d(frames, 2)


def enlarged(frames: torch.Tensor) -> torch.Tensor:
    """Frames ``[F, 3, H, W]`` of twice the size, enlarged as stage 2's preprocessor does it."""
    _, _, height, width = frames.shape
    return stretch(2 * height, 2 * width).place(frames)


def degraded(frames: torch.Tensor, rng: np.random.Generator, stage_1: AutoencoderKL) -> torch.Tensor:
    """Frames ``[F, 3, 256, 256]`` in [-1, 1] as stage 2 sees them: from half the size or less, and enlarged again.

    Args:
        stage_1: the autoencoder of stage 1, whose videos stage 2 enlarges.
    """
    kind = rng.uniform()
    small = halved(frames)
    if kind < AS_STAGE_1:
        with torch.no_grad():
            small = stage_1.decode(stage_1.encode(small)[0]).clamp(-1, 1)
    elif kind < AS_STAGE_1 + BLURRED:
        side = round(SIDE / rng.uniform(2, 4))
        smaller = functional.interpolate(frames, size=(side, side), mode='bilinear', antialias=True)
        small = functional.interpolate(smaller, size=(SIDE // 2, SIDE // 2), mode='bilinear').clamp(-1, 1)
    elif kind < AS_STAGE_1 + BLURRED + RESAMPLED:
        mode = 'bilinear' if rng.uniform() < 0.5 else 'bicubic'
        size = (SIDE // 2, SIDE // 2)
        small = functional.interpolate(frames, size=size, mode=mode, antialias=True).clamp(-1, 1)
    return enlarged(small)


def _placed(pictures: torch.Tensor, maps: torch.Tensor, padding: str) -> torch.Tensor:
    """Pictures ``[N, C, S, S]`` through affine maps ``[N, 2, 3]``: ``[N, C, 256, 256]``."""
    size = [len(maps), pictures.shape[1], SIDE, SIDE]
    grid = functional.affine_grid(maps, size, align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)


def _gradient(colours: np.ndarray, angle: float) -> torch.Tensor:
    """A smooth change between two colours ``[2, 3]`` in 0..1, in the direction of ``angle``: ``[3, 256, 256]``."""
    places = (torch.arange(SIDE) + 0.5) / (SIDE / 2) - 1
    along = math.cos(angle) * places[None, :] + math.sin(angle) * places[:, None]
    share = along / (2 * math.sqrt(2)) + 0.5
    first, last = torch.from_numpy(colours).view(2, 3, 1, 1)
    return first * (1 - share) + last * share


def _channels_first(pixels: np.ndarray, mirrored: bool) -> torch.Tensor:
    """uint8 ``[N, H, W, C]`` -> float32 ``[N, C, H, W]`` in 0..1."""
    tensor = torch.from_numpy(np.array(pixels)).movedim(-1, 1) / 255
    return tensor.flip(-1) if mirrored else tensor

"""Clips of the world that the embedded second generation knows: pure functions of a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from demo_training.emoji_and_photographs import captions, moves, rendering, scenes
from demo_training.emoji_and_photographs.data import Data, data_fingerprint
from demo_training.emoji_and_photographs.moves import FPS, NUM_FRAMES, camera_maps, chained, sprite_maps
from demo_training.emoji_and_photographs.rendering import SIDE, camera, gradient, over, view
from demo_training.emoji_and_photographs.scenes import Place, Scene, draw_scene
from demo_training.made_from import code_fingerprint
from modelscope_i2v.training.data.clips import Clip
from modelscope_i2v.training.fingerprint import fingerprint


def make_clip(data: Data, seed: int, *, num_frames: int = NUM_FRAMES) -> Clip:
    """The clip of a seed, 128x128 at 8 frames per second; a clip of one frame is a picture."""
    return render(data, draw_scene(data, np.random.default_rng((3, seed))), num_frames)


def render(data: Data, scene: Scene, num_frames: int = NUM_FRAMES) -> Clip:
    """Draw a scene."""
    seen = camera_maps(scene.camera_move, num_frames)
    if scene.crop is None:
        colours, angle = scene.colours
        background = gradient(torch.from_numpy(colours), angle).expand(num_frames, -1, -1, -1)
        background = view(background, seen)
    else:
        index, part = scene.crop
        crop = _channels_first(data.photographs.crops[index][None], part.mirrored)
        background = view(crop.expand(num_frames, -1, -1, -1), chained(seen, _base(part)))
    if scene.emoji is not None:
        index, first, place = scene.emoji
        count = num_frames if scene.is_animated else 1
        sprites = _channels_first(data.emoji.clip(index, first, count), place.mirrored).expand(num_frames, -1, -1, -1)
        maps = sprite_maps(scene.sprite_move, place.centre, place.scale, place.angle, num_frames)
        background = over(sprites, chained(seen, maps), background)
    pixels = (255 * background.clamp(0, 1)).round().to(torch.uint8).movedim(1, -1)
    return Clip(pixels.numpy(), float(FPS), scene.text)


def emoji_mask(data: Data, scene: Scene) -> np.ndarray:
    """Where the emoji of a scene is in its first frame, bool ``[128, 128]``."""
    if scene.emoji is None:
        return np.zeros((SIDE, SIDE), bool)
    index, first, place = scene.emoji
    opacity = _channels_first(data.emoji.clip(index, first, 1), place.mirrored)
    opacity[:, :3] = 1  # white over black: the brightness is the opacity
    maps = sprite_maps(None, place.centre, place.scale, place.angle, num_frames=1)
    drawn = over(opacity, maps, torch.zeros(1, 3, SIDE, SIDE))
    return np.asarray(drawn[0, 0] > 0.5)


def world_fingerprint() -> str:
    """A digest of the data and of the code that draws clips of it."""
    modules = (captions, moves, rendering, scenes)
    files = [*(Path(module.__file__ or '') for module in modules), Path(__file__)]
    return fingerprint(data_fingerprint(), code_fingerprint(*files))


def _base(part: Place) -> torch.Tensor:
    """The camera's map in the first frame, ``[1, 2, 3]``."""
    return camera(torch.tensor([part.centre]), torch.tensor([part.scale]), torch.tensor([part.angle]))


def _channels_first(pixels: np.ndarray, mirrored: bool) -> torch.Tensor:
    """uint8 ``[N, H, W, C]`` -> float32 ``[N, C, H, W]`` in 0..1."""
    tensor = torch.from_numpy(pixels).movedim(-1, 1) / 255
    return tensor.flip(-1) if mirrored else tensor

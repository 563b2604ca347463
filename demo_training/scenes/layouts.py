"""Colour layouts: blurred crops of real pictures and random smooth fields, seen by a slowly moving camera.

They teach that any arrangement of colours stays where it is. The pictures come with scikit-image, whose sources and
licences its own ``data/README.txt`` lists.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from demo_training.scenes.canvas import hsv

#: Pictures of scikit-image to train on; the others of its pictures judge what was learnt.
TRAINING_PICTURES = ('coffee', 'rocket', 'immunohistochemistry', 'retina')
#: Never trained on; nor is the cat, ``chelsea``.
HELD_OUT_PICTURES = (
    'astronaut',
    'hubble_deep_field',
    'stereo_motorcycle',
    'camera',
    'coins',
    'moon',
    'colorwheel',
    'logo',
)


@cache
def picture(name: str) -> Image.Image:
    """One of scikit-image's pictures, at most 512 pixels on its longer side."""
    from skimage import data

    image = Image.fromarray(_pixels(getattr(data, name)())).convert('RGB')
    image.thumbnail((512, 512), Image.Resampling.LANCZOS)
    return image


def _pixels(loaded: np.ndarray | tuple[np.ndarray, ...]) -> np.ndarray:
    """The picture itself; stereo pairs come with the other view and a map of depth."""
    return loaded[0] if isinstance(loaded, tuple) else loaded


def render_layout(rng: np.random.Generator, times: np.ndarray, size: int) -> tuple[np.ndarray, str]:
    """Frames uint8 ``[F, size, size, 3]`` and a caption."""
    canvas = photograph(rng) if rng.uniform() < 0.6 else field(rng)
    blur = rng.uniform(0, 0.04) * min(canvas.size)
    canvas = canvas.filter(ImageFilter.GaussianBlur(blur))
    side = rng.uniform(0.6, 0.85) * min(canvas.size)
    free_x, free_y = canvas.width - side, canvas.height - side
    start = rng.uniform(0, 1, size=2) * (free_x, free_y)
    step = rng.uniform(-0.6, 0.6, size=2) * side / 64
    zoom = rng.uniform(-0.006, 0.006)
    frames = np.empty((len(times), size, size, 3), dtype=np.uint8)
    for index, time in enumerate(times):
        seen = min(side * (1 + zoom * time), min(canvas.size))
        left = float(np.clip(start[0] + step[0] * time + (side - seen) / 2, 0, canvas.width - seen))
        top = float(np.clip(start[1] + step[1] * time + (side - seen) / 2, 0, canvas.height - seen))
        box = (left, top, left + seen, top + seen)
        frames[index] = np.asarray(canvas.resize((size, size), Image.Resampling.BILINEAR, box=box))
    return frames, 'a blurred picture, the camera moving slowly'


def photograph(rng: np.random.Generator, size: int = 160) -> Image.Image:
    """A crop of a picture in ``size`` x ``size`` pixels, flipped, turned and recoloured at random."""
    image = picture(str(rng.choice(TRAINING_PICTURES)))
    side = int(rng.uniform(0.3, 1.0) * min(image.size))
    left, top = (int(rng.integers(0, length - side + 1)) for length in image.size)
    crop = image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.BILINEAR)
    crop = crop.transpose(Image.Transpose(int(rng.integers(0, 7))))
    hue, saturation, value = crop.convert('HSV').split()
    turn = int(rng.integers(0, 256))
    hue = hue.point(lambda h: (h + turn) % 256)
    crop = Image.merge('HSV', (hue, saturation, value)).convert('RGB')
    crop = ImageEnhance.Color(crop).enhance(rng.uniform(0.5, 1.6))
    return ImageEnhance.Brightness(crop).enhance(rng.uniform(0.6, 1.4))


def field(rng: np.random.Generator, size: int = 160) -> Image.Image:
    """Random colours on a coarse grid, interpolated smoothly to ``size`` x ``size`` pixels."""
    rows, columns = rng.integers(2, 7, size=2)
    palette = [hsv(rng.uniform(), rng.uniform(0, 1), rng.uniform(0.05, 1)) for _ in range(rng.integers(2, 6))]
    cells = np.array([[palette[rng.integers(len(palette))] for _ in range(columns)] for _ in range(rows)])
    grid = Image.fromarray((cells * 255).astype(np.uint8))
    smooth = Image.Resampling.BICUBIC if rng.uniform() < 0.8 else Image.Resampling.BILINEAR
    return grid.resize((size, size), smooth)

"""Sample strips of the model pages, made with the embedded models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from demo_training.scenes.layouts import picture
from demo_training.world import FIRST_HELD_OUT_SEED, make_clip
from modelscope_i2v import embedded_model, load

SIDE, GAP, FRAMES = 128, 4, 6
#: None of them was trained on.
PHOTOGRAPHS = ('chelsea', 'astronaut', 'stereo_motorcycle')
#: Held-out scenes of the small world, for the README: a circle and a landscape.
SCENES = (FIRST_HELD_OUT_SEED + 1, FIRST_HELD_OUT_SEED + 3)


def square(photograph: Image.Image) -> Image.Image:
    """The central square of a picture."""
    side = min(photograph.size)
    left, top = ((extent - side) // 2 for extent in photograph.size)
    return photograph.crop((left, top, left + side, top + side))


def paste_rows(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """A sheet of rows of pictures, all drawn ``SIDE`` pixels wide."""
    step = SIDE + GAP
    sheet = Image.new('RGB', (step * max(map(len, rows)) - GAP, step * len(rows) - GAP), 'white')
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            resample = Image.Resampling.NEAREST if cell.width < SIDE else Image.Resampling.LANCZOS
            sheet.paste(cell.resize((SIDE, SIDE), resample), (x * step, y * step))
    return sheet


def save_strips(first: Path, second: Path) -> None:
    """Stage 1: each photograph and frames of its video. Stage 2: frames of a video, and the same ones afterwards."""
    stage1 = load(embedded_model('image-to-video'), device='cpu', show_progress=False)
    stage2 = load(embedded_model('video-to-video'), device='cpu', show_progress=False)
    rows, pairs = [], []
    for seed, name in enumerate(PHOTOGRAPHS):
        photograph = square(picture(name))
        video = stage1(photograph, seed=seed, output_type='pil')['output_video']
        chosen = np.linspace(0, len(video) - 1, FRAMES).round().astype(int)
        rows.append([photograph, *(video[index] for index in chosen)])
        sharper = stage2({'video_path': video, 'text': ''}, seed=seed, output_type='pil')['output_video']
        pairs += [[video[index] for index in chosen], [sharper[index] for index in chosen]]
    for path, sheet in ((first, paste_rows(rows)), (second, paste_rows(pairs))):
        path.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(path, quality=90)


def save_readme_strip(path: Path) -> None:
    """Pictures of the world that the embedded model knows, each followed by frames of its video."""
    stage1 = load(embedded_model('image-to-video'), device='cpu', show_progress=False)
    rows = []
    for seed in SCENES:
        given = Image.fromarray(make_clip(seed, num_frames=1).frames[0])
        video = stage1(given, seed=seed - FIRST_HELD_OUT_SEED, output_type='pil')['output_video']
        rows.append([given, *(video[index] for index in np.linspace(0, len(video) - 1, FRAMES).round().astype(int))])
    path.parent.mkdir(parents=True, exist_ok=True)
    paste_rows(rows).save(path)

"""Sample strips: of the first generation's pages, made with its small models, and the README's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.first_generation import FIRST_GENERATION, MODELS
from demo_training.scenes.layouts import picture
from demo_training.world import FIRST_HELD_OUT_SEED, make_clip
from modelscope_i2v import embedded_model, load
from modelscope_i2v.media import write_video
from modelscope_i2v.media.writing.sheet import contact_sheet

EXAMPLES = Path(__file__).parents[2] / 'examples'
SIDE, GAP, FRAMES = 128, 4, 6
#: What the README shows: pictures and texts.
README = (('cat.jpg', 'zoom out'), ('koala.png', 'rotate right'))
#: None of them was trained on.
PHOTOGRAPHS = ('chelsea', 'astronaut', 'stereo_motorcycle')
#: Held-out scenes of the small world: a circle, a landscape and a ring.
SCENES = (FIRST_HELD_OUT_SEED + 1, FIRST_HELD_OUT_SEED + 3, FIRST_HELD_OUT_SEED + 4)


def square(photograph: Image.Image) -> Image.Image:
    """The central square of a picture."""
    side = min(photograph.size)
    left, top = ((extent - side) // 2 for extent in photograph.size)
    return photograph.crop((left, top, left + side, top + side))


def paste_rows(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """A sheet of rows of pictures, all drawn ``SIDE`` pixels wide."""
    return contact_sheet(rows, (SIDE, SIDE), GAP)


def row_of(pipeline: Any, picture: Image.Image, text: str, seed: int = 0) -> list[Image.Image]:
    """The picture, then frames of its video, for a model that takes a text."""
    video = pipeline(picture, text=text, seed=seed, output_type='pil')['output_video']
    return [picture, *(video[index] for index in np.linspace(0, len(video) - 1, FRAMES).round().astype(int))]


def save_strips(first: Path, second: Path) -> None:
    """Stage 1: each photograph and frames of its video. Stage 2: frames of a video, and the same ones afterwards."""
    stage1 = load(FIRST_GENERATION, device='cpu', show_progress=False)
    stage2 = load(MODELS['video-to-video'], device='cpu', show_progress=False)
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


def videos_of_scenes() -> Iterator[tuple[Image.Image, list[Image.Image]]]:
    """Pictures of the world that the first generation's small model knows, and their videos."""
    stage1 = load(FIRST_GENERATION, device='cpu', show_progress=False)
    for seed in SCENES:
        given = Image.fromarray(make_clip(seed, num_frames=1).frames[0])
        yield given, stage1(given, seed=seed - FIRST_HELD_OUT_SEED, output_type='pil')['output_video']


def save_readme_strip(path: Path) -> None:
    """The examples' pictures, each followed by frames of its video by the embedded model."""
    stage1 = load(embedded_model('image-to-video'), device='cpu', show_progress=False)
    rows = []
    for name, text in README:
        given = square(Image.open(EXAMPLES / name))
        rows.append(row_of(stage1, given, text))
    path.parent.mkdir(parents=True, exist_ok=True)
    paste_rows(rows).save(path)


def save_samples(first: Path, second: Path) -> None:
    """Sample videos, as GIF. Stage 1: each picture beside its video. Stage 2: each video before and after."""
    stage2 = load(MODELS['video-to-video'], device='cpu', show_progress=False)
    scenes = list(videos_of_scenes())
    sharper = [stage2(video, seed=0, output_type='pil')['output_video'] for _, video in scenes]
    count = len(sharper[0])
    sheets1 = [paste_rows([[cell for given, video in scenes for cell in (given, video[n])]]) for n in range(count)]
    sheets2 = [
        paste_rows([[cell for (_, video), high in zip(scenes, sharper, strict=True) for cell in (video[n], high[n])]])
        for n in range(count)
    ]
    for path, sheets in ((first, sheets1), (second, sheets2)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video((np.asarray(sheet) for sheet in sheets), path, fps=8)

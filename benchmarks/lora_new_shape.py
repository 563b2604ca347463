"""Can a LoRA teach the small first-generation stage 1 a shape that it has never seen?

    python -m benchmarks.lora_new_shape

Twenty clips of crescents are written as MP4s and trained on as a user would. Then a classifier of nine shapes, trained
on real frames, says what is seen in videos of held-out crescents, without and with the LoRA, and in videos of shapes
that the model draws well: what a LoRA of one shape alone forgets.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.first_generation import FIRST_GENERATION
from benchmarks.quality.held_out import as_video
from benchmarks.quality.shape_classifier import ShapeClassifier, fit_classifier
from benchmarks.quality.stage1 import SAMPLINGS, generate, reconstruct
from demo_training.scenes.shapes import SHAPES, UNSEEN_SHAPES
from demo_training.world import FIRST_HELD_OUT_SEED, make_sprite
from modelscope_i2v import load
from modelscope_i2v.media.writing.write import write_video
from modelscope_i2v.training.configuration import TrainingConfiguration, ValidationSettings
from modelscope_i2v.training.data.datasets import ClipSettings
from modelscope_i2v.training.data.mixture import MixtureSettings
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.lora import LoraSettings
from modelscope_i2v.training.trainer import train
from modelscope_i2v.weights.lora.layers import LAYER_GROUPS

NAMES = (*SHAPES, *UNSEEN_SHAPES)
NEW, KNOWN = 'crescent', ('disc', 'ring', 'heart')
CLIPS, FRAMES = 20, 16


def clip_of(seed: int, shape: str) -> np.ndarray:
    """uint8 ``[FRAMES, 64, 64, 3]``."""
    return make_sprite(seed, (shape,)).render(np.arange(float(FRAMES)), 64)


def nine_shapes(first_seed: int, clips: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames ``[N, 3, 64, 64]`` in 0..1 of all shapes in turn, four per clip, and the numbers of their shapes."""
    shapes = [index % len(NAMES) for index in range(clips)]
    frames = [as_video(clip_of(first_seed + index, NAMES[shape])[::4]) for index, shape in enumerate(shapes)]
    return torch.cat(frames), torch.tensor(shapes).repeat_interleave(FRAMES // 4)


def lora_of(folder: Path, steps: int, layers: tuple[str, ...]) -> Path:
    """A LoRA trained on clips of the new shape."""
    for seed in range(CLIPS):
        write_video(clip_of(600_000 + seed, NEW), folder / 'clips' / f'{seed:02}.mp4', fps=8.0)
    return train(
        TrainingConfiguration(
            model=FIRST_GENERATION,
            data=str(folder / 'clips'),
            output=str(folder / 'training'),
            clips=ClipSettings(num_frames=FRAMES, height=64, width=64, fps=8.0, crop='center'),
            mixture=MixtureSettings(video_to_image=(1, 1), batch_size=3, image_batch_size=48),
            loop=LoopSettings(steps=steps, learning_rate=1e-3, schedule='cosine', ema_decay=0.99),
            validation=ValidationSettings(count=0),
            lora=LoraSettings(rank=16, layers=layers),
            variants=16,
            cpu=True,
        )
    )


def recognised(classifier: ShapeClassifier, videos: torch.Tensor, shape: str) -> float:
    """Share of the frames of ``[N, F, 3, 64, 64]`` that are classified as ``shape``."""
    found = classifier.shapes(videos.flatten(0, 1))
    return float((found == NAMES.index(shape)).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=32, help='held-out pictures (default: 32)')
    parser.add_argument('--steps', type=int, default=400, help='training steps (default: 400)')
    parser.add_argument(
        '--layers', nargs='+', default=list(LAYER_GROUPS), choices=LAYER_GROUPS, help='layers to change (all)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE')
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format='%(asctime)s %(message)s')
    classifier = fit_classifier(*nine_shapes(2_000_000, 4500), *nine_shapes(2_500_000, 450), classes=len(NAMES))
    seeds = range(FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + arguments.count)
    crescents = torch.stack([as_video(clip_of(seed, NEW)) for seed in seeds])
    values: dict[str, Any] = {
        'settings': {'layers': arguments.layers, 'steps': arguments.steps, 'count': arguments.count},
        'classifier accuracy': classifier.accuracy,
        'real crescents': recognised(classifier, crescents, NEW),
    }
    with tempfile.TemporaryDirectory() as folder:
        lora = lora_of(Path(folder), arguments.steps, tuple(arguments.layers))
        values['size of the LoRA in bytes'] = lora.stat().st_size
        for name, options in (('without LoRA', {}), ('with LoRA', {'lora': str(lora)})):
            pipeline = load(FIRST_GENERATION, device='cpu', show_progress=False, **options)
            if not options:
                frames = reconstruct(pipeline.model.autoencoder, crescents.flatten(0, 1)).view_as(crescents)
                values['crescents through the autoencoder alone'] = recognised(classifier, frames, NEW)
            for shape in (NEW, *KNOWN):
                own = seeds if shape == NEW else seeds[: max(1, len(seeds) // 2)]
                pictures = [as_video(clip_of(seed, shape)[:1])[0] for seed in own]
                videos = generate(pipeline, pictures, SAMPLINGS['ddim 20'], FIRST_HELD_OUT_SEED)
                for seen in dict.fromkeys((shape, NEW)):
                    values[f'{shape}s seen as {seen}s {name}'] = recognised(classifier, videos, seen)
    print(json.dumps(values, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(values, indent=2) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()

"""How good are the first generation's small models? Measures them on held-out clips: a table, JSON, contact sheets.

    python -m benchmarks.first_generation.quality --json quality.json --sheets model_card/sheets

Everything: about an hour on two cores; --fast samples with 20 steps of DDIM only. The sprites are those of
``tests/data/embedded_world.py``, which specifies the world; landscapes, colour layouts and clips of 128x128 pixels come
from the project's own generator (tests/data/embedded_world.py counts in pixels of 64x64). All seeds are held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks.first_generation import MODELS
from benchmarks.judging.cold_start import cold_start_seconds
from benchmarks.quality.held_out import SHAPE_NAMES, judge_clips, large_clip, world_clips
from benchmarks.quality.judging import judge_world_motion
from benchmarks.quality.photographs import (
    judge_photographs,
    layout_distances,
    nearest_pictures,
    photographs,
    seen_by_model,
)
from benchmarks.quality.report import misses, table, write_json
from benchmarks.quality.shape_classifier import FIRST_SEED, train_shape_classifier
from benchmarks.quality.sheets import Row, contact_sheet, picked, save_sheet
from benchmarks.quality.stage1 import SAMPLINGS, generate, judge_scenes, judge_stage1, note, psnr, reconstruct
from benchmarks.quality.stage2 import judge_stage2
from demo_training.world import FIRST_HELD_OUT_SEED, SHARES

PARTS = ('autoencoder', 'sprites', 'scenes', 'photographs', 'stage2', 'cold-start')
STAGE1_HEADER = ('input', 'first frame', '', '', '', '', 'last frame')


class Benchmark:
    """One run: the arguments, the pipelines (loaded when needed) and the measurements so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.samplings = {'ddim 20': SAMPLINGS['ddim 20']} if arguments.fast else SAMPLINGS
        self.sections: dict[str, dict[str, dict[str, float]]] = {}
        self.others: dict[str, Any] = {}
        self._pipelines: dict[str, Any] = {}

    def pipeline(self, task: str) -> Any:
        from modelscope_i2v import load

        if task not in self._pipelines:
            given = self.arguments.model if task == 'image-to-video' else self.arguments.stage2_model
            self._pipelines[task] = load(
                given or MODELS[task], device=self.arguments.device, dtype='fp32', show_progress=False
            )
        return self._pipelines[task]

    def finish(self, section: str, columns: dict[str, dict[str, float]]) -> None:
        self.sections[section] = columns
        print(table(section, columns), '\n', sep='', flush=True)
        if self.arguments.json:
            settings = {name: str(value) for name, value in vars(self.arguments).items()}
            write_json(self.arguments.json, settings, self.sections, **self.others)

    def sheet(self, name: str, header: tuple[str, ...], rows: list[Row], scale: int) -> None:
        if self.arguments.sheets and rows:
            save_sheet(contact_sheet(header, rows, scale), self.arguments.sheets / f'{name}.jpg')

    def autoencoder(self) -> None:
        count, seed = self.arguments.count, self.arguments.seed
        stages = [self.pipeline(task).model.autoencoder for task in ('image-to-video', 'video-to-video')]
        sets = {
            'stage 1, 64x64 sprites': (stages[0], judge_clips(count, seed, 1).clips[:, 0]),
            'stage 2, 128x128 sprites': (stages[1], world_clips('sprite', range(seed, seed + count), 1, 128)[:, 0]),
        }
        for stage, size in enumerate((64, 128)):
            for kind in ('landscape', 'layout'):
                frames = world_clips(kind, range(seed, seed + count), 1, size)[:, 0]
                sets[f'stage {stage + 1}, {size}x{size} {kind}s'] = (stages[stage], frames)
        values = {name: psnr(reconstruct(model, frames), frames) for name, (model, frames) in sets.items()}
        self.finish('Autoencoder', {name: {'PSNR (dB)': float(value.mean())} for name, value in values.items()})

    def sprites(self) -> None:
        pipeline = self.pipeline('image-to-video')
        truth = judge_clips(self.arguments.count, self.arguments.seed, pipeline.model.configuration.max_frames)
        note('Training the shape classifier')
        classifier = train_shape_classifier()
        self.others['shape classifier accuracy'] = classifier.accuracy
        print(f'Shape classifier: {classifier.accuracy:.4f} on held-out real frames.\n')
        frames = reconstruct(pipeline.model.autoencoder, truth.clips.flatten(0, 1)).view_as(truth.clips)
        columns = {
            'real clips': judge_stage1(truth.clips, truth, classifier),
            'autoencoder alone': judge_stage1(frames, truth, classifier),
        }
        for name, sampling in self.samplings.items():
            note(f'Sprites, {name}')
            videos = generate(pipeline, truth.clips[:, 0], sampling, self.arguments.seed)
            columns[name] = judge_stage1(videos, truth, classifier)
            self.finish('Stage 1, sprites', columns)
            if len(columns) == 3:  # the first sampling
                chosen = [int((truth.shape == shape).nonzero()[0]) for shape in truth.shape.unique()]
                rows = [(SHAPE_NAMES[truth.shape[n]], [truth.clips[n, 0], *picked(videos[n])]) for n in chosen]
                self.sheet('stage1-sprites', STAGE1_HEADER, rows, 2)

    def scenes(self) -> None:
        columns, rows = {}, []
        for name, sampling in self.samplings.items():
            clips = {}
            for kind in SHARES:
                note(f'Scenes, {kind}, {name}')
                real, videos, columns[f'{kind}, {name}'] = judge_scenes(
                    self.pipeline('image-to-video'), kind, self.arguments.scenes, self.arguments.seed, sampling
                )
                clips[kind] = (videos, real)
                if name == next(iter(self.samplings)) and kind != 'sprite':
                    rows += [(kind, [real[n, 0], *picked(videos[n])]) for n in range(min(4, len(real)))]
            columns[f'world, {name}'] = judge_world_motion(clips, SHARES)
        self.finish('Stage 1, scenes', columns)
        self.sheet('stage1-scenes', STAGE1_HEADER, rows, 2)

    def photographs(self) -> None:
        pipeline, pictures = self.pipeline('image-to-video'), photographs()
        squares = torch.stack([seen_by_model(pipeline, image) for image in pictures.values()])
        columns, self.others['photographs, nearest picture'] = {}, {}
        for name, sampling in self.samplings.items():
            note(f'Photographs, {name}')
            videos = generate(pipeline, pictures.values(), sampling, self.arguments.seed)
            matrix = layout_distances(squares, videos)
            columns[name] = judge_photographs(matrix)
            self.others['photographs, nearest picture'][name] = nearest_pictures(matrix, list(pictures))
            if len(columns) == 1:
                rows = [(own, [squares[n], *picked(videos[n])]) for n, own in enumerate(pictures)]
                self.sheet('stage1-photographs', STAGE1_HEADER, rows, 2)
        self.finish('Photographs', columns)
        for name, nearest in self.others['photographs, nearest picture'].items():
            wrong = ', '.join(f'{own} is nearest to {other}' for own, other in nearest.items() if own != other)
            print(f'{name}: {wrong or "every video is nearest to its own picture"}.')

    def stage2(self) -> None:
        pipeline = self.pipeline('video-to-video')
        num_frames, seed = pipeline.model.configuration.max_frames, self.arguments.seed
        note('Stage 2')
        clips = [large_clip(seed, index, num_frames) for index in range(self.arguments.stage2_count)]
        columns, videos = judge_stage2(pipeline, clips, self.arguments.stage2_factor, seed)
        self.finish('Stage 2', columns)
        rows: list[Row] = []
        for clip, (source, own) in list(zip(clips, videos, strict=True))[:5]:
            middle = num_frames // 2
            pairs = [(own_frames[0], own_frames[middle]) for own_frames in (source, own, clip.video)]
            rows.append((clip.kind, [frame for pair in zip(*pairs, strict=True) for frame in pair]))
        self.sheet('stage2', ('input', 'output', 'truth', 'input, later', 'output', 'truth'), rows, 1)

    def cold_start(self) -> None:
        note('Cold start')
        first = ['--model', self.arguments.model] if self.arguments.model else []
        second = ['--stage2-model', self.arguments.stage2_model] if self.arguments.stage2_model else []
        calls = {'image-to-video': first, 'chain': [*first, *second]}
        seconds = {f'{verb} (s)': cold_start_seconds(verb, options) for verb, options in calls.items()}
        self.finish('Cold start', {'this machine': seconds})


def parse(command: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', help="stage 1's folder (default: the small one)")
    parser.add_argument('--stage2-model', help="stage 2's folder (default: the small one)")
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--count', type=int, default=64, help='sprites (default: 64)')
    parser.add_argument('--scenes', type=int, default=32, help='clips per kind of scene (default: 32)')
    parser.add_argument('--stage2-count', type=int, help='clips for stage 2 (default: same as --count)')
    parser.add_argument('--stage2-factor', type=int, default=4, help='how much its input is reduced (default: 4)')
    parser.add_argument('--seed', type=int, default=FIRST_HELD_OUT_SEED, help=f'>= {FIRST_HELD_OUT_SEED}')
    parser.add_argument('--fast', action='store_true', help='20 steps of DDIM only')
    parser.add_argument('--only', nargs='+', choices=PARTS, default=PARTS, metavar='PART', help=', '.join(PARTS))
    parser.add_argument('--json', type=Path, metavar='FILE')
    parser.add_argument('--sheets', type=Path, metavar='DIR')
    arguments = parser.parse_args(command)
    if not FIRST_HELD_OUT_SEED <= arguments.seed < FIRST_SEED - arguments.count:
        parser.error(f"--seed must be at least {FIRST_HELD_OUT_SEED} and below the classifier's seeds, {FIRST_SEED}")
    if arguments.stage2_count is None:
        arguments.stage2_count = arguments.count
    return arguments


def main() -> None:
    arguments = parse()
    benchmark = Benchmark(arguments)
    for part in PARTS:
        if part in arguments.only:
            getattr(benchmark, part.replace('-', '_'))()
    missed = [
        f'- {section}, {line}' for section, columns in benchmark.sections.items() for line in misses(section, columns)
    ]
    print('Missed:' if missed else 'Everything reached.', *missed, sep='\n')


if __name__ == '__main__':
    main()

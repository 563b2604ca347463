"""How good are the embedded models? Measured on clips that they have never seen, and on controls.

    python -m benchmarks.embedded_quality FOLDER [--keep VIDEOS] [--json FILE]

FOLDER is that of ``python -m demo_training.emoji_and_photographs FOLDER``, which holds the data; they are fetched if
they are not there. The controls, which a good measure tells apart:

- real: held-out clips that do what the text says;
- frozen: their first frames only;
- shuffled: their frames in another order;
- wrong: clips of other pictures or, where a text is obeyed, of the opposite text.

With all clips it takes about an hour of one CPU core. With --keep it resumes after an interruption.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.judging.camera import DIRECTIONS
from benchmarks.judging.cold_start import cold_start_seconds
from benchmarks.judging.controls import CONTROLS, controls
from benchmarks.judging.held_out_clips import (
    SPRITE_TEXTS,
    HeldOutClip,
    default_clips,
    load_judged_data,
    opposite,
    text_clips,
)
from benchmarks.judging.kept_videos import KeptVideos
from benchmarks.judging.sharpening import sharpening_gains
from benchmarks.judging.stage1 import first_frame_psnr, flicker, obedience, recognised_frame, relative_motion
from benchmarks.judging.table import Row, header
from demo_training.emoji_and_photographs.sharpening.large_data import load_large_data
from modelscope_i2v import embedded_model, load
from modelscope_i2v.files import replacing
from modelscope_i2v.metrics import psnr
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.fingerprint import fingerprint

#: The frames, counted from 1, that must still show the picture.
RECOGNISED_FRAMES = (1, 8, 16)
PARTS = ('autoencoder', 'default', 'texts', 'sharpening', 'cold-start')


class Benchmark:
    """One run. Its parts are iterators over rows of the table."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.folder = arguments.model or embedded_model('image-to-video')
        self.pipeline: Any = load(self.folder, device='cpu', dtype='fp32', show_progress=False)
        self.data = load_judged_data(arguments.folder)
        parameters = [value.detach() for value in self.pipeline.model.parameters()]
        call = self.pipeline.stage.arguments, json.loads((Path(self.folder) / 'configuration.json').read_text())
        self.kept = KeptVideos(arguments.keep, fingerprint(str(call), *parameters)) if arguments.keep else None

    def videos(self, clips: Sequence[HeldOutClip]) -> list[np.ndarray]:
        """The model's video of the first frame and the text of each clip, each with a seed of its own."""
        return [self._video(clip, seed) for seed, clip in enumerate(clips)]

    def _video(self, clip: HeldOutClip, seed: int) -> np.ndarray:
        picture = clip.frames[0]

        def generate() -> np.ndarray:
            # ModelScope's arrays are BGR.
            made = self.pipeline(picture[..., ::-1].copy(), text=clip.text, seed=seed, output_type='np')
            video: np.ndarray = made['output_video']
            return video

        return generate() if self.kept is None else self.kept.video(picture, clip.text, seed, generate)

    def autoencoder(self) -> Iterator[Row]:
        """How much the autoencoder alone loses of real clips: no video of the model can be better."""
        clips = list(default_clips(self.data, self.arguments.emoji, self.arguments.photographs))
        decoded = [self._through_autoencoder(clip.frames) for clip in clips]
        for kind, chosen in _kinds(clips):
            found = [psnr(clips[index].frames[::5], decoded[index][::5]) for index in chosen]
            yield Row(f'autoencoder alone, PSNR, {kind} (dB)', float(np.mean(found)), low=26)
        for number in RECOGNISED_FRAMES:
            share = recognised_frame(decoded, clips, number)
            yield Row(f'autoencoder alone, frame {number} is recognised among 32', share, low=0.95)
        for kind, chosen in _kinds(clips):
            own, real = [decoded[index] for index in chosen], [clips[index].frames for index in chosen]
            yield Row(f'autoencoder alone, motion, {kind}', relative_motion(own, real), low=0.6, high=1.5)

    @torch.no_grad()
    def _through_autoencoder(self, frames: np.ndarray) -> np.ndarray:
        network = self.pipeline.model.autoencoder
        decoded = network.decode(network.encode(to_pixels(frames))[0])
        pixels: np.ndarray = (127.5 * (decoded.clamp(-1, 1) + 1)).round().to(torch.uint8).movedim(1, -1).numpy()
        return pixels

    def default(self) -> Iterator[Row]:
        """Without a text: an emoji hops and plays its own animation, and a photograph comes nearer."""
        clips = list(default_clips(self.data, self.arguments.emoji, self.arguments.photographs))
        videos = self.videos(clips)
        for kind, chosen in _kinds(clips):
            own, of_kind = [videos[index] for index in chosen], [clips[index] for index in chosen]
            yield Row(f'first frame, PSNR, {kind} (dB)', first_frame_psnr(own, of_kind), low=22)
        of = controls(clips, [clip.frames for clip in clips[1:] + clips[:1]])
        for number in RECOGNISED_FRAMES:
            measure = partial(recognised_frame, clips=clips, number=number)
            yield _row(f'frame {number} is recognised among 32', measure, of, videos, low=0.95)
        for kind, chosen in _kinds(clips):
            own, of_kind = [videos[index] for index in chosen], [clips[index] for index in chosen]
            real = [clip.frames for clip in of_kind]
            others = controls(of_kind, real[1:] + real[:1])
            yield _row(f'motion, {kind}', partial(relative_motion, others=real), others, own, low=0.6, high=1.5)

    def texts(self) -> Iterator[Row]:
        """Whether texts are obeyed, and whether 'still' holds still."""
        count, found = self.arguments.pictures, []
        for text in (*DIRECTIONS, *SPRITE_TEXTS):
            clips = list(text_clips(self.data, text, count))
            other = opposite(text) if text in DIRECTIONS else SPRITE_TEXTS[text == 'spin']
            wrong = [clip.frames for clip in text_clips(self.data, other, count)]
            videos = self.videos(clips)
            measure = partial(obedience, clips=clips, text=text)
            row = _row(f"obeys '{text}'", measure, controls(clips, wrong), videos, low=0.9)
            yield row
            if text in DIRECTIONS:
                found.append(row.video)
            if text == 'spin':
                real = {'real': flicker([clip.frames for clip in clips], clips)}
                yield Row('flicker of still backgrounds', flicker(videos, clips), high=0.008, controls=real)
        yield Row('obeys, mean over the moves of the camera', float(np.mean(found)), low=0.9)
        still = list(text_clips(self.data, 'still', count))
        silent = [dataclasses.replace(clip, text='') for clip in still]
        motion = relative_motion(self.videos(still), self.videos(silent))
        yield Row("motion with 'still', against that without a text", motion, high=0.25)

    def sharpening(self) -> Iterator[Row]:
        """Stage 2 against bicubic enlargement."""
        folder = self.arguments.stage2_model or embedded_model('video-to-video')
        pipeline = load(folder, device='cpu', dtype='fp32', show_progress=False)
        gains = sharpening_gains(pipeline, load_large_data(self.arguments.folder, held_out=True))
        for (kind, found), least in zip(gains.items(), (0.7, 0.3), strict=True):
            bicubic = {'bicubic': found['bicubic']}
            yield Row(f'stage 2, PSNR, {kind} (dB)', found['PSNR'], low=found['bicubic'] + least, controls=bicubic)

    def cold_start(self) -> Iterator[Row]:
        """The first command, from a cold start to the file."""
        options = ['--model', self.arguments.model] if self.arguments.model else []
        yield Row('the first command (s)', cold_start_seconds('image-to-video', options), high=25)


def _kinds(clips: Sequence[HeldOutClip]) -> Iterator[tuple[str, list[int]]]:
    """What clips show, and which of them show it."""
    for kind, is_emoji in (('emoji', True), ('photographs', False)):
        chosen = [index for index, clip in enumerate(clips) if clip.is_emoji is is_emoji]
        if chosen:
            yield kind, chosen


def _row(
    name: str,
    measure: Callable[[Sequence[np.ndarray]], float],
    of: dict[str, list[np.ndarray]],
    videos: Sequence[np.ndarray],
    **reach: float,
) -> Row:
    """A measure of the model's videos and of the controls."""
    return Row(name, measure(videos), controls={kind: measure(frames) for kind, frames in of.items()}, **reach)


def parse(command: list[str] | None = None) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help="the recipe's folder, which holds the data")
    parser.add_argument('--model', help="stage 1's folder (default: the embedded model)")
    parser.add_argument('--stage2-model', help="stage 2's folder (default: the embedded model)")
    parser.add_argument('--emoji', type=int, default=40, help='clips of emoji (default: 40)')
    parser.add_argument('--photographs', type=int, default=24, help='clips of photographs (default: 24)')
    parser.add_argument('--pictures', type=int, default=16, help='pictures for each text (default: 16)')
    parser.add_argument('--only', nargs='+', choices=PARTS, default=PARTS, metavar='PART', help=', '.join(PARTS))
    parser.add_argument('--keep', type=Path, metavar='VIDEOS', help='folder for the videos, to resume')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows there, too')
    return parser.parse_args(command)


def main() -> None:
    """Print the table, row by row, then what was missed."""
    arguments = parse()
    benchmark, rows = Benchmark(arguments), []
    print(header(CONTROLS))
    for part in PARTS:
        if part not in arguments.only:
            continue
        for row in getattr(benchmark, part.replace('-', '_'))():
            print(row.line(CONTROLS), flush=True)
            rows.append(row)
    missed = [row.name for row in rows if not row.reached]
    print('', f'Missed: {"; ".join(missed)}.' if missed else 'Everything is reached.', sep='\n')
    if arguments.json:
        content = [{**vars(row), 'reached': row.reached} for row in rows]
        with replacing(arguments.json) as draft:
            draft.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()

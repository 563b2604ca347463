"""Do the measures of the embedded second generation tell good videos from bad ones? Controls, without any model.

    python -m benchmarks.embedded_controls FOLDER

FOLDER is that of ``python -m demo_training.emoji_and_photographs FOLDER``, which holds the data. Each measure is taken
of

- real: held-out clips that do what the text says;
- frozen: their first frames only;
- shuffled: their frames in another order;
- wrong: clips of other pictures or, where a text is obeyed, of the opposite text.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.judging.amount_of_motion import mean_difference
from benchmarks.judging.camera import DIRECTIONS, camera_move
from benchmarks.judging.held_out_clips import (
    SPRITE_TEXTS,
    HeldOutClip,
    default_clips,
    opposite,
    text_clips,
)
from benchmarks.judging.recognition import recognised, recognition_features
from benchmarks.judging.sprite import sprite_move
from demo_training.emoji_and_photographs.data import load_data

KINDS = ('real', 'frozen', 'shuffled', 'wrong')
#: The frames, counted from 1, that must still show the picture.
RECOGNISED_FRAMES = (1, 8, 16)


def frozen(frames: np.ndarray) -> np.ndarray:
    """The first frame of ``frames`` ``[F, H, W, 3]``, again and again."""
    return np.broadcast_to(frames[:1], frames.shape)


def shuffled(frames: np.ndarray) -> np.ndarray:
    """``frames``, of which the first stays, in another order that is always the same."""
    return frames[[0, *(1 + np.random.default_rng(0).permutation(len(frames) - 1))]]


def controls(clips: Sequence[HeldOutClip], wrong: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """The frames of each control, by its name."""
    real = [clip.frames for clip in clips]
    return {
        'real': real,
        'frozen': [frozen(frames) for frames in real],
        'shuffled': [shuffled(frames) for frames in real],
        'wrong': list(wrong),
    }


def obedience(frames: Sequence[np.ndarray], clips: Sequence[HeldOutClip], text: str) -> float:
    """Share of videos that obey ``text``; ``clips`` say where the emoji are."""
    pairs = zip(frames, clips, strict=True)
    if text in DIRECTIONS:
        return float(np.mean([camera_move(video).obeys(text) for video, _ in pairs]))
    moves = [sprite_move(video, clip.mask) for video, clip in pairs]
    return float(np.mean([move.spins if text == 'spin' else move.bounces for move in moves]))


def retrieval(frames: Sequence[np.ndarray], clips: Sequence[HeldOutClip], number: int) -> float:
    """Share of frames ``number``, counted from 1, that are nearer to their picture than to 31 others."""

    def features(pictures: Sequence[np.ndarray]) -> torch.Tensor:
        return recognition_features(torch.from_numpy(np.stack(pictures)).movedim(-1, 1).float() / 255)

    return recognised(features([clip.frames[0] for clip in clips]), features([video[number - 1] for video in frames]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.embedded_controls', description=__doc__)
    parser.add_argument('folder', type=Path, help="the recipe's folder, which holds the data")
    parser.add_argument('--pictures', type=int, default=16, help='pictures for each text (default: 16)')
    arguments = parser.parse_args()
    data = load_data(arguments.folder, held_out=True)

    def row(name: str, of: dict[str, list[np.ndarray]], measure: Callable[[list[np.ndarray]], float]) -> None:
        print(f'| {name} |', *(f'{measure(of[kind]):.2f} |' for kind in KINDS), flush=True)

    print('| measure |', *(f'{kind} |' for kind in KINDS))
    print('|---' * (1 + len(KINDS)) + '|')
    clips = list(default_clips(data))
    of = controls(clips, [clip.frames for clip in clips[1:] + clips[:1]])
    for number in RECOGNISED_FRAMES:
        row(f'frame {number} is recognised', of, lambda frames, number=number: retrieval(frames, clips, number))
    row('difference of frames, grey levels', of, mean_difference)
    for text in (*DIRECTIONS, *SPRITE_TEXTS):
        asked = list(text_clips(data, text, arguments.pictures))
        other = opposite(text) if text in DIRECTIONS else SPRITE_TEXTS[text == 'spin']
        wrong = [clip.frames for clip in text_clips(data, other, arguments.pictures)]
        row(f"obeys '{text}'", controls(asked, wrong), lambda frames, a=asked, t=text: obedience(frames, a, t))


if __name__ == '__main__':
    main()

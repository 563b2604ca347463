"""Stage 2 on coarse clips: does it sharpen them, and does it follow its input if the text contradicts it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from benchmarks.quality.held_out import LargeClip, as_uint8, as_video
from benchmarks.quality.stage1 import note, psnr, reconstruct
from demo_training.world import SHARES

BLOCKS = 8


def degrade(video: torch.Tensor, factor: int = 4) -> torch.Tensor:
    """``[F, 3, S, S]`` in 0..1 reduced by ``factor`` (bicubic with antialiasing), and enlarged again (bicubic).

    Rounded to 256 levels, as in the input of stage 2.
    """
    size = video.shape[-1]
    coarse = functional.interpolate(video, size=size // factor, mode='bicubic', antialias=True)
    back = functional.interpolate(coarse, size=size, mode='bicubic', align_corners=False)
    return as_video(as_uint8(back.clamp(0, 1)))


def sharpen(pipeline: Any, video: torch.Tensor, text: str, seed: int) -> torch.Tensor:
    """The output of stage 2 ``[F, 3, S, S]``, with the defaults of its folder."""
    result = pipeline(
        {'video_path': as_uint8(video), 'text': text}, seed=seed, output_type='np', show_progress=False
    )  # fmt: skip
    return as_video(result['output_video'])


def sprite_mask(clip: LargeClip, video: torch.Tensor) -> torch.Tensor:
    """Bool ``[F, S, S]``: pixels of ``video`` nearer to the colour of the sprite of ``clip`` than to its background."""
    if clip.sprite is None:
        raise ValueError(f'A {clip.kind} has no sprite.')
    colour = torch.from_numpy(clip.sprite.colour).float().view(3, 1, 1)
    return (video - colour).square().sum(dim=1) < (video - clip.background()).square().sum(dim=1)


def judge_sprite(clip: LargeClip, video: torch.Tensor) -> dict[str, float]:
    """Measures of one clip of a sprite, 0..1.

    ``sprite colour error``: mean absolute difference of the mean colours of output and truth over the true sprite;
    ``sprite colour kept``: 1 if that mean is off the true one by less than a quarter of the way to the contradicting
    text's colour (Euclidean, RGB);
    ``silhouette overlap``: intersection over union of the segmented and the true sprite, mean over frames.
    """
    true_mask, mask = sprite_mask(clip, clip.video), sprite_mask(clip, video)
    true_colour, colour = (
        v.movedim(1, -1)[true_mask].mean(dim=0) for v in (clip.video, video)
    )  # over all frames: [3] each
    other = torch.from_numpy(clip.contradiction().colour).float()
    union = (mask | true_mask).sum(dim=(1, 2)).clamp(min=1)
    return {
        'sprite colour error': float((colour - true_colour).abs().mean()),
        'sprite colour kept': float((colour - true_colour).norm() < (other - true_colour).norm() / 4),
        'silhouette overlap': float(((mask & true_mask).sum(dim=(1, 2)) / union).mean()),
    }


def layout_error(video: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean absolute difference (0..1) of the colours of 8x8 blocks, frame by frame."""
    blocks = [functional.adaptive_avg_pool2d(v, BLOCKS) for v in (video, truth)]
    return float((blocks[0] - blocks[1]).abs().mean())


def judge_output(clip: LargeClip, source: torch.Tensor, video: torch.Tensor) -> dict[str, float]:
    """Measures of one output; the gain in dB is over the input ``source``, which is the bicubic enlargement."""
    if video.shape != clip.video.shape:
        raise ValueError(f'The video is {list(video.shape)}, the true clip {list(clip.video.shape)}.')
    quality = float(psnr(video[None], clip.video[None]))
    gain = quality - float(psnr(source[None], clip.video[None]))
    measures = {'PSNR': quality, f'PSNR gain, {clip.kind}': gain}
    measures['8x8 layout error'] = layout_error(video, clip.video)
    return {**measures, **(judge_sprite(clip, video) if clip.sprite is not None else {})}


def mean_measures(each: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of every measure over the clips that have it."""
    names = list(dict.fromkeys(name for own in each for name in own))
    return {name: sum(values) / len(values) for name in names if (values := [o[name] for o in each if name in o])}


def with_world_gain(measures: dict[str, float]) -> dict[str, float]:
    """``measures`` and, if they are of all kinds of clips, the mean gain where kinds have the shares of the world."""
    names = {kind: f'PSNR gain, {kind}' for kind in SHARES}
    if not measures.keys() >= set(names.values()):
        return measures
    return {'PSNR gain, world': sum(share * measures[names[kind]] for kind, share in SHARES.items()), **measures}


def judge_stage2(
    pipeline: Any, clips: Sequence[LargeClip], factor: int, seed: int
) -> tuple[dict[str, dict[str, float]], list[tuple[torch.Tensor, torch.Tensor]]]:
    """Columns of measures, and ``(input, output)`` of every clip with its own text.

    The columns: the unchanged input, the true clip through the autoencoder (no output can be expected to be better),
    the output with its own text, the same of sprites alone, and those with a text of the opposite
    colour and another shape.
    """
    columns: dict[str, list[dict[str, float]]] = {
        name: [] for name in ('input', 'autoencoder alone', 'own text', 'own text, sprites', 'contradicting text')
    }
    videos = []
    for index, clip in enumerate(clips):
        source = degrade(clip.video, factor)
        own = sharpen(pipeline, source, clip.text, seed + index)
        videos.append((source, own))
        columns['input'].append(judge_output(clip, source, source))
        best = reconstruct(pipeline.model.autoencoder, clip.video)
        columns['autoencoder alone'].append(judge_output(clip, source, best))
        columns['own text'].append(judge_output(clip, source, own))
        if clip.sprite is not None:
            columns['own text, sprites'].append(columns['own text'][-1])
            against = sharpen(pipeline, source, clip.contradiction().caption, seed + index)
            measures = judge_output(clip, source, against)
            change = measures['PSNR'] - columns['own text'][-1]['PSNR']
            columns['contradicting text'].append({**measures, 'PSNR change by the text': change})
        if (index + 1) % 8 == 0:
            note(f'  {index + 1} clips')
    return {name: with_world_gain(mean_measures(each)) for name, each in columns.items() if each}, videos

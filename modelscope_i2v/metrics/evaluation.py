"""All metrics of a video in one pass, with only a few frames in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.metrics.consistency import neighbour_cosines
from modelscope_i2v.metrics.embeddings import Encoder, cosine_similarity, embed
from modelscope_i2v.metrics.fidelity import common, large_enough, psnr_metric, ssim_metric
from modelscope_i2v.metrics.flicker import second_differences
from modelscope_i2v.metrics.frames import as_frames
from modelscope_i2v.metrics.motion import Motion, neighbour_motion
from modelscope_i2v.metrics.sharpness import laplacian_variances
from modelscope_i2v.metrics.similarity import Similarity

if TYPE_CHECKING:
    from PIL import Image

#: Limits of a piece of each video in memory: this many pixels and this many frames (plus the last two frames of the
#: previous piece).
_PIXELS = 4_000_000
_FRAMES = 16


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A video compared with its source, frame by frame.

    Attributes:
        frames: the number of frames compared, which is the length of the shorter video.
        same_length: whether both videos have that many frames.
        similarity, psnr, ssim: see the functions of the same names (``video_video_similarity`` for the first).
    """

    frames: int
    same_length: bool
    similarity: Similarity
    psnr: float
    ssim: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The metrics of a video. Each is described at the function of the same name, and is None if it cannot be computed.

    Attributes:
        image_video_similarity: None without an image.
        comparison: None without a source.
        temporal_consistency, motion: None for a single frame.
        flicker: None for fewer than 3 frames.
    """

    width: int
    height: int
    frames: int
    image_video_similarity: Similarity | None
    comparison: Comparison | None
    temporal_consistency: float | None
    motion: Motion | None
    flicker: float | None
    sharpness: float


def evaluate(
    video: VideoSource, encoder: Encoder, *, image: Image.Image | None = None, source: VideoSource | None = None
) -> Evaluation:
    """Measure a video of any length.

    Args:
        video: the video, from ``open_video``.
        encoder: ``[N, 3, H, W]`` in 0..1 -> ``[N, D]``, such as ``load_image_encoder()``.
        image: the input picture of stage 1, mode 'RGB'.
        source: the input video of stage 2; needs torchmetrics.

    Raises:
        InputError: if a frame cannot be read, or if the frames are too small.
        ConfigurationError: for a ``source`` without torchmetrics.
    """
    largest = max(each.width * each.height for each in (video, source) if each is not None)
    count = max(1, min(_FRAMES, _PIXELS // largest))
    compare = None if source is None else _Comparer(_pieces(source, count), encoder)
    embeddings, sharp, pairs, seconds = [], [], [], []
    last = torch.empty(0, 3, video.height, video.width)
    for piece in _pieces(video, count):
        known = embed(piece, encoder)
        embeddings.append(known)
        sharp.append(laplacian_variances(piece))
        # Metrics over two or three neighbours need the last frames of the previous piece.
        pairs.append(neighbour_motion(torch.cat([last[-1:], piece])))
        block = torch.cat([last, piece])
        seconds.append(second_differences(block))
        last = block[-2:]
        if compare is not None:
            compare.update(piece, known)
    points, differences = torch.cat(embeddings), torch.cat(seconds)
    several = len(points) > 1
    return Evaluation(
        width=video.width,
        height=video.height,
        frames=len(points),
        image_video_similarity=None if image is None else _image_similarity(image, points, encoder),
        comparison=None if compare is None else compare.result(),
        temporal_consistency=float(neighbour_cosines(points).mean()) if several else None,
        motion=Motion.of(torch.cat(pairs)) if several else None,
        flicker=float(differences.mean()) if len(differences) else None,
        sharpness=float(torch.cat(sharp).mean()),
    )


class _Comparer:
    """Compares the video with its source. Reads the source in step with the video, in pieces of the same length."""

    def __init__(self, pieces: Iterator[torch.Tensor], encoder: Encoder) -> None:
        self.psnr, self.ssim = psnr_metric(), ssim_metric()
        self.encoder = encoder
        self.pieces = pieces
        self.cosines: list[torch.Tensor] = []
        self.same_length = True

    def update(self, piece: torch.Tensor, embeddings: torch.Tensor) -> None:
        before = next(self.pieces, None)
        self.same_length &= before is not None and len(before) == len(piece)
        if before is None:
            return
        count = min(len(before), len(piece))
        self.cosines.append(cosine_similarity(embed(before[:count], self.encoder), embeddings[:count]))
        pair = large_enough(*common(before, piece))
        self.psnr.update(*pair)
        self.ssim.update(*pair)

    def result(self) -> Comparison:
        cosines = torch.cat(self.cosines)
        return Comparison(
            frames=len(cosines),
            same_length=self.same_length and next(self.pieces, None) is None,
            similarity=Similarity.of(cosines),
            psnr=float(self.psnr.compute()),
            ssim=float(cast(torch.Tensor, self.ssim.compute())),  # a tuple only if asked for the whole map
        )


def _pieces(video: VideoSource, count: int) -> Iterator[torch.Tensor]:
    """The frames as float32 ``[n, 3, H, W]`` in 0..1, ``count`` at a time; the last piece may be shorter."""
    frames = (frame.pixels for frame in video.frames())
    while piece := list(islice(frames, count)):
        yield as_frames(np.stack(piece))


def _image_similarity(image: Image.Image, points: torch.Tensor, encoder: Encoder) -> Similarity:
    picture = embed(as_frames(np.array(image)[None]), encoder)
    return Similarity.of(cosine_similarity(picture, points))

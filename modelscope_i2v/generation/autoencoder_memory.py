"""What the autoencoder holds in memory, and how much it processes at a time so that it holds no more than it may.

Peaks of bands were within 2 % of PyTorch's fake tensors; see :mod:`~modelscope_i2v.generation.memory` for the others.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from modelscope_i2v.networks.bands import HALO, band_rows
from modelscope_i2v.networks.parameters import AutoencoderParameters
from modelscope_i2v.networks.slicing import slice_length

#: Pixels that the autoencoder processes at a time. It bounds the activations to those of a few frames of 448x256.
CHUNK_PIXELS = 4 * 448 * 256
#: Images are cut into no more bands than this. What the autoencoder computes on the way for one of them is then far
#: smaller than the features that it keeps, so more bands would only cost time.
MAX_BANDS = 64
#: Bytes of a value in float32, in which norms collect their statistics from bands.
FLOAT = 4


@dataclass(frozen=True)
class Portion:
    """What the autoencoder processes at a time: ``frames`` whole frames, or one in ``bands`` bands of rows.

    See :meth:`~modelscope_i2v.networks.autoencoder.AutoencoderKL.decode` for what bands cost.
    """

    frames: int
    bands: int = 1


def frames_at_a_time(pixels: int) -> int:
    """How many frames of ``pixels`` pixels the autoencoder processes together."""
    return max(1, CHUNK_PIXELS // pixels)


def portion(
    autoencoder: AutoencoderParameters, height: int, width: int, *, itemsize: int = FLOAT, limit: int | None = None
) -> Portion:
    """The largest portion of frames of ``height`` x ``width`` pixels whose activations are within ``limit`` bytes.

    If nothing is, that with the most bands. It follows from the arguments alone, never from what is free, so that the
    same call gives the same numbers on every day.

    Args:
        itemsize: bytes of a value.
        limit: for encoding and for decoding, without weights. None means whole frames, as many as usual.
    """
    most = frames_at_a_time(height * width)
    if limit is None:
        return Portion(most)

    def fits(frames: int, bands: int) -> bool:
        peaks = (
            activations(autoencoder, frames, height, width, itemsize=itemsize, bands=bands)
            for activations in (decoder_activations, encoder_activations)
        )
        return max(peaks) <= limit

    frames = bisect.bisect_left(range(1, most + 1), True, key=lambda count: not fits(count, 1))
    if frames:
        return Portion(frames)
    most_bands = len(band_rows(height // autoencoder.downsampling_factor, MAX_BANDS))
    return Portion(1, 1 + bisect.bisect_left(range(1, most_bands), True, key=lambda count: fits(1, count)))


def decoder_activations(
    autoencoder: AutoencoderParameters, frames: int, height: int, width: int, *, itemsize: int = FLOAT, bands: int = 1
) -> int:
    """Bytes that decoding ``frames`` frames of ``height`` x ``width`` pixels holds at its peak, without weights."""
    middle = _middle(autoencoder, frames, height * width, itemsize)
    if bands > 1:
        return max(frames * _decoder_in_bands(autoencoder, height, width, itemsize, bands), middle)
    widths, values, peaks = autoencoder.widths, frames * height * width, []
    for own, coarser in zip(widths, [*widths[1:], widths[-1]], strict=True):
        peaks.append(_residual(coarser, own) * values)
        if values < frames * height * width:  # doubled in size, before and after a convolution
            peaks.append(9 * own * values)
        values //= 4
    return max(itemsize * max(peaks), middle)


def encoder_activations(
    autoencoder: AutoencoderParameters, frames: int, height: int, width: int, *, itemsize: int = FLOAT, bands: int = 1
) -> int:
    """Bytes that encoding ``frames`` frames of ``height`` x ``width`` pixels holds at its peak, without weights."""
    middle = _middle(autoencoder, frames, height * width, itemsize)
    if bands > 1:
        return max(frames * _encoder_in_bands(autoencoder, height, width, itemsize, bands), middle)
    widths, values, peaks = autoencoder.widths, frames * height * width, []
    for own, finer in zip(widths, [autoencoder.channels, *widths], strict=False):
        # Only the second block of a level has the full width from the beginning.
        peaks.append(_residual(own if autoencoder.num_res_blocks > 1 else finer, own) * values)
        values //= 4
    return max(itemsize * max(peaks), middle)


def _residual(before: int, after: int) -> int:
    """Widths that a residual block holds: its input with a convolution's input and output, or with the last sum."""
    terms = 2 if before == after else 3
    return before + max(before + after, terms * after)


def _middle(autoencoder: AutoencoderParameters, frames: int, pixels: int, itemsize: int) -> int:
    """The attention of the coarsest level, if there is one: two matrices of scores, and seven tensors of its input.

    Channels are not the last dimension in memory there, so PyTorch's fused kernels do not take it, and no back end of
    ours avoids the matrices. They are made for a slice of the pixels at a time, in float32 even in half precision.
    """
    if not autoencoder.attention:
        return 0
    width, tokens = autoencoder.widths[-1], pixels // autoencoder.downsampling_factor**2
    at_a_time = slice_length(tokens, tokens**2)
    return FLOAT * frames * tokens * (2 * at_a_time + (7 if itemsize == FLOAT else 6) * width)


def _decoder_in_bands(autoencoder: AutoencoderParameters, height: int, width: int, itemsize: int, bands: int) -> int:
    """Bytes for one frame, in all levels and the last convolution."""
    factor, widths, peaks = autoencoder.downsampling_factor, autoencoder.widths, []
    rows, columns = band_rows(height // factor, bands), width // factor
    before = widths[-1]
    for level, own in reversed(list(enumerate(widths))):
        for block in range(autoencoder.num_res_blocks + 1):
            doubled = block == 0 and level == 0 and len(widths) > 1
            peaks.append(_residual_in_bands(rows, columns, before, own, itemsize, doubled=doubled))
            rows, columns = ([2 * each for each in rows], 2 * columns) if doubled else (rows, columns)
            before = own
        if level > 1:
            made = 4 * own * columns
            peaks.append(_in_turn(rows, kept=own * columns, made=made, work=own * columns + 2 * made))
            rows, columns = [2 * each for each in rows], 2 * columns
    peaks.append(_in_turn(rows, kept=before * columns, made=3 * columns, work=(2 * before + 3) * columns))
    return itemsize * max(peaks)


def _encoder_in_bands(autoencoder: AutoencoderParameters, height: int, width: int, itemsize: int, bands: int) -> int:
    """Bytes for one frame and its image, in the first convolution and all levels."""
    factor, before = autoencoder.downsampling_factor, autoencoder.channels
    rows, columns = band_rows(height, bands, multiple=factor), width
    peaks = [_in_turn(rows, kept=0, made=before * columns, work=(3 + before) * columns)]
    for level, own in enumerate(autoencoder.widths):
        for _ in range(autoencoder.num_res_blocks):
            peaks.append(_residual_in_bands(rows, columns, before, own, itemsize))
            before = own
        if level < len(autoencoder.widths) - 1:
            halved = own * columns // 4
            peaks.append(_in_turn(rows, kept=own * columns, made=halved, work=2 * own * columns + halved))
            rows, columns = [each // 2 for each in rows], columns // 2
    return itemsize * (max(peaks) + 3 * height * width)


def _residual_in_bands(
    rows: Sequence[int], columns: int, before: int, after: int, itemsize: int, *, doubled: bool = False
) -> int:
    """Values that a residual block holds in bands: while it collects statistics, and while it makes its result.

    Args:
        before, after: widths of its input and its result.
        doubled: whether its input is first doubled in size by a convolution.
    """
    kept, area = before * columns, columns * (4 if doubled else 1)
    # What comes before the block: values before and after a convolution. Otherwise the band itself is the input.
    own, ahead = (before * area, 2 * before * area) if doubled else (0, 0)
    copy = FLOAT // itemsize if itemsize < FLOAT else 0  # statistics are collected in float32
    first = max(kept + ahead, (1 + copy) * before * area)
    second = kept + max(ahead, own + (before + after) * area)
    result = kept + max(ahead, own + (_residual(before, after) - before) * area)
    return max(
        _in_turn(rows, kept=kept, work=first),
        _in_turn(rows, kept=kept, work=max(second, (1 + copy) * after * area)),
        _in_turn(rows, kept=kept, made=after * area, work=result),
    )


def _in_turn(rows: Sequence[int], *, kept: int, work: int, made: int | None = None) -> int:
    """Values that a layer holds while it gets one band after the other.

    Args:
        rows: the heights of the bands.
        kept: values of a row of the map.
        work: values for a row of the band with its halo, while the layer has it.
        made: values of the result for a row of the map; None leaves the map as it is.
    """
    peaks, last = [], len(rows) - 1
    for index, height in enumerate(rows):
        halo = HALO * ((index > 0) + (index < last))
        others = kept * sum(rows) if made is None else kept * (sum(rows[index + 1 :]) + HALO) + made * sum(rows[:index])
        peaks.append(others + work * (height + halo))
    return max(peaks)

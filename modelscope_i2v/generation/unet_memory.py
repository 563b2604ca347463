"""What one pass of the UNet holds in memory, in the slices that it works in.

See :mod:`~modelscope_i2v.networks.slicing` for those, and :mod:`~modelscope_i2v.generation.memory` for whole calls.
"""

from __future__ import annotations

from modelscope_i2v.networks.parameters import UNetParameters
from modelscope_i2v.networks.slicing import SLICE_VALUES, slice_length

#: Values of one token, in units of the width, at the peak of a transformer: the projection of GEGLU (8), its gate (4)
#: and their product (4), with the normed input, the sum before, the query and the input itself.
TRANSFORMER = 20
#: Tensors that the temporal convolutions of a residual block hold at a time: its input, and what comes before, within
#: and after a convolution.
TEMPORAL_CONVOLUTIONS = 4


def unet_activations(
    unet: UNetParameters,
    frames: int,
    height: int,
    width: int,
    *,
    itemsize: int,
    math: bool,
    limit: int = SLICE_VALUES,
) -> int:
    """Bytes that one pass of the UNet holds at its peak, without weights.

    Args:
        frames, height, width: of the latents.
        itemsize: bytes of one value.
        math: whether attention keeps its whole matrix.
        limit: values of a slice at most, see :func:`~modelscope_i2v.networks.slicing.slice_limit`.
    """
    depth, inner = unet.num_res_blocks, unet.num_heads * unet.num_head_channels
    finest = frames * height * width
    # A temporal transformer also holds its input after the norm.
    peaks = [2 * unet.model_channels * finest + _in_transformer(unet.model_channels, inner, finest, height, limit)]
    scores = [_scores(unet.num_heads, unet.model_channels, finest, frames, height, limit)]
    skips = 0
    rows, columns = height, width
    # Heights that cannot be halved grow by a row instead, on every level.
    extra_row = int(height % unet.downsampling_factor != 0)
    for level, own in enumerate(unet.widths):
        # Values of one channel; widths of the levels beside this one.
        values = frames * rows * columns
        finer = unet.widths[level - 1] if level else unet.model_channels
        coarser = unet.widths[min(level + 1, len(unet.widths) - 1)]
        left = skips + (finer + (depth - 1) * own) * values
        peaks.append(left + _joined(coarser, own, values, frames, limit))
        peaks.append(left + TEMPORAL_CONVOLUTIONS * own * values)
        if 2**level in unet.attention_resolutions:
            peaks.append(left + own * values + _in_transformer(own, own, values, frames, limit))
            peaks.append(left + 2 * own * values + _in_transformer(own, own, values, rows, limit))
            heads = own // unet.num_head_channels
            scores.append(_scores(heads, own, values, values // frames, frames, limit))
            scores.append(_scores(heads, own, values, frames, rows, limit))
        if level:
            peaks.append(skips + _upsampled(own, values, frames, limit))
        skips += (finer + depth * own) * values
        if level == len(unet.widths) - 1:  # the block in the middle, which uses up no skip connection
            peaks.append(skips + 2 * own * values + _in_transformer(own, own, values, rows, limit))
        rows, columns = max(1, rows // 2 + extra_row), max(1, columns // 2)
    held = max(peaks) + unet.in_channels * finest
    return int(itemsize * (held + (2 * max(scores) if math else 0)))


def _in_slices(count: int, values: int, inside: float, result: int, limit: int) -> float:
    """Values that a layer holds besides its input of ``values``, if it takes ``count`` frames or rows in slices.

    Args:
        inside: what it would hold for the whole input, including the ``result``.
    """
    length = slice_length(count, values, limit)
    second = min(length, count - length)  # the result is there from the second slice on
    return max(inside * length / count, result + inside * second / count if second else 0)


def _joined(coarser: int, own: int, values: int, frames: int, limit: int) -> float:
    """The first convolutions of a block on the way up, which joins a coarser level with a skip connection."""
    joined = coarser + own
    inside = max(2 * joined + own, joined + 3 * own) * values
    return joined * values + _in_slices(frames, max(coarser, own) * values, inside, own * values, limit)


def _in_transformer(own: int, inner: int, values: int, count: int, limit: int) -> float:
    """What a transformer holds besides its input, in slices of ``count`` frames or rows."""
    return _in_slices(count, own * values, TRANSFORMER * inner * values, own * values, limit)


def _upsampled(own: int, values: int, frames: int, limit: int) -> float:
    """A level's result, and four times as many pixels before and after a convolution."""
    return own * values + _in_slices(frames, own * values, 8 * own * values, 4 * own * values, limit)


def _scores(heads: int, own: int, values: int, keys: int, count: int, limit: int) -> float:
    """The scores of attention of ``values`` pixels to ``keys`` others each, in slices of ``count`` frames or rows."""
    return heads * values * keys * slice_length(count, own * values, limit) / count

"""Colours that a file names by code points (ITU-T H.273), as in PNG's chunk ``cICP`` and in HEIC."""

from __future__ import annotations

import logging

import numpy as np
from PIL import Image

from modelscope_i2v.media.colour import matrices
from modelscope_i2v.media.colour.convert import ColourConverter
from modelscope_i2v.media.colour.description import ColourDescription
from modelscope_i2v.media.images.conversions import Conversion, by_table, grey_ramp

logger = logging.getLogger(__name__)


def coded_conversion(primaries: int, transfer: int, mode: str, name: str) -> Conversion | None:
    """The conversion to sRGB of colours that are given by codes; None if they need none, or cannot be converted.

    Args:
        mode: 'L', 'I;16' or 'RGB', the mode of what will be converted.
        name: what a warning calls the picture.
    """
    description = ColourDescription.of(matrices.IDENTITY, primaries, transfer, full_range=True, rgb=True, height=0)
    problem = description.problem()
    if problem is not None:
        logger.warning('%s has %s, which cannot be converted. Its colours are taken as sRGB.', name, problem)
        return None
    if not description.needs_light:
        return None
    if description.is_hdr:
        logger.warning('%s is HDR; its colours are converted to those of an ordinary screen.', name)
    converter = ColourConverter(description)
    if mode != 'RGB':
        ramp = np.asarray(grey_ramp(mode))
        return by_table(converter.pixels([ramp] * 3, 8 * ramp.itemsize).reshape(-1, 3))

    def convert(image: Image.Image) -> Image.Image:
        red, green, blue = np.moveaxis(np.asarray(image), 2, 0)
        return Image.fromarray(converter.pixels([green, blue, red], 8))

    return convert

"""Colours that a file names by code points (ITU-T H.273), as in PNG's chunk ``cICP`` and in HEIC."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from modelscope_i2v.media.images.chromaticities import SRGB, Chromaticities, rgb_conversion
from modelscope_i2v.media.images.conversions import Conversion, srgb_decoded

logger = logging.getLogger(__name__)

_D65 = SRGB.white
#: ColourPrimaries -> chromaticities.
_PRIMARIES = {
    1: SRGB,
    5: Chromaticities(_D65, (0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
    6: Chromaticities(_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: Chromaticities(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Chromaticities((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: Chromaticities(_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
#: TransferCharacteristics -> levels to light. Viewers show those of BT.709 and its relatives with the curve of sRGB.
_CURVES: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys((1, 6, 13, 14, 15), srgb_decoded),
    4: lambda levels: levels**2.2,
    5: lambda levels: levels**2.8,
    8: lambda levels: levels,
}
#: A code that says that nothing is known, and the codes of HDR (SMPTE ST 2084, BT.2100 HLG).
_UNKNOWN, _HDR = 2, (16, 18)


def coded_conversion(primaries: int, transfer: int, mode: str, name: str) -> Conversion | None:
    """The conversion to sRGB of colours that are given by codes; None for sRGB, and for codes that are not known.

    Args:
        mode: 'L', 'I;16' or 'RGB', the mode of what will be converted.
        name: what a warning calls the picture.
    """
    primaries = 1 if primaries == _UNKNOWN else primaries
    transfer = 13 if transfer == _UNKNOWN else transfer
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        kind = 'HDR colours' if transfer in _HDR else 'colours of an unknown kind'
        logger.warning(
            '%s has %s (primaries %d, transfer %d). They are taken as sRGB.', name, kind, primaries, transfer
        )
        return None
    if _CURVES[transfer] is srgb_decoded and (primaries == 1 or mode != 'RGB'):
        return None
    return rgb_conversion(_PRIMARIES[primaries], _CURVES[transfer], mode)

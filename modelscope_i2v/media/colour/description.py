"""How the colours of a video are coded, and whether they need a conversion of ours."""

from __future__ import annotations

from dataclasses import dataclass

from modelscope_i2v.media.colour import matrices, primaries, transfer

# The lowest height, in pixels, of a video that is taken for BT.709 if it does not say what it is.
_HIGH_DEFINITION = 720


@dataclass(frozen=True)
class ColourDescription:
    """Code points of ITU-T H.273: ``matrix``, ``primaries`` and ``transfer``. None of them is 'unspecified' (2).

    ``full_range``: whether black is 0 and white the largest value, not 16 and 235 (of 255).
    """

    matrix: int
    primaries: int
    transfer: int
    full_range: bool

    @classmethod
    def of(
        cls, matrix: int, primary: int, curve: int, *, full_range: bool, rgb: bool, height: int
    ) -> ColourDescription:
        """Fill in what a file leaves open, as players do.

        Args:
            rgb: whether the values are RGB already.
            height: of the coded picture in pixels. High definition is BT.709, everything smaller BT.601.
        """
        # Cameras and editors also write codes that mean nothing, often 0.
        if primary not in primaries.CHROMATICITIES:
            primary = primaries.UNSPECIFIED
        if not transfer.BT709 <= curve <= transfer.HLG or curve == transfer.RESERVED:
            curve = transfer.UNSPECIFIED
        if matrix in matrices.MEANINGLESS and not rgb:
            matrix = matrices.UNSPECIFIED
        wide = primary == primaries.BT2020 or curve in transfer.HDR or matrix in (matrices.BT2020, matrices.ICTCP)
        if rgb:
            matrix, full_range = matrices.IDENTITY, True
        elif matrix == matrices.UNSPECIFIED:
            television = primary in primaries.LIKE_BT709 - {primaries.BT709, primaries.UNSPECIFIED}
            large = height >= _HIGH_DEFINITION and not television
            matrix = matrices.BT2020 if wide else matrices.BT709 if large else matrices.BT601
        if primary == primaries.UNSPECIFIED:
            primary = primaries.BT2020 if wide else primaries.BT709
        return cls(matrix, primary, primaries.BT709 if curve == transfer.UNSPECIFIED else curve, full_range)

    @property
    def is_hdr(self) -> bool:
        """Whether there may be light brighter than the white of ordinary video."""
        return self.transfer in transfer.HDR

    @property
    def is_ordinary(self) -> bool:
        """Whether FFmpeg's conversion to RGB is all that is needed."""
        return self.matrix in matrices.KNOWN_TO_FFMPEG and not self.needs_light

    @property
    def needs_light(self) -> bool:
        """Whether a conversion has to go through linear light."""
        return self.transfer in transfer.CONVERTED or self.primaries not in primaries.LIKE_BT709

    def problem(self) -> str | None:
        """What cannot be converted, as a noun phrase; None if everything can."""
        known = self.matrix in matrices.KNOWN_TO_FFMPEG or self.matrix in matrices.CONVERTED
        if not known or (self.matrix == matrices.ICTCP and not self.is_hdr):
            return f'the colour matrix {self.matrix}'
        if self.transfer in transfer.REFUSED:
            return f'the transfer curve {self.transfer}'
        return None

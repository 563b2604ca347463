"""Contact sheets: rows of frames as small JPEG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from benchmarks.quality.held_out import as_uint8

MAX_BYTES = 300_000
#: JPEG qualities, best first. With gradients of many colours a PNG is ten times as large, or has bands.
QUALITIES = (92, 80, 60, 40)
LABEL_WIDTH, GAP = 96, 2
Row = tuple[str, Sequence[torch.Tensor]]


def picked(video: torch.Tensor, count: int = 6) -> list[torch.Tensor]:
    """``count`` frames of ``[F, 3, H, W]``, evenly spaced from the first to the last."""
    return [video[round(index)] for index in torch.linspace(0, len(video) - 1, count).tolist()]


def contact_sheet(header: Sequence[str], rows: Sequence[Row], scale: int = 1) -> Image.Image:
    """One picture: a line of column titles, then rows of a label and pictures ``[3, S, S]`` in 0..1."""
    side = rows[0][1][0].shape[-1] * scale
    width = LABEL_WIDTH + max(len(frames) for _, frames in rows) * (side + GAP)
    sheet = Image.new('RGB', (width, 16 + len(rows) * (side + GAP)), 'white')
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(header):
        draw.text((LABEL_WIDTH + column * (side + GAP), 2), title, fill='black')
    for number, (label, frames) in enumerate(rows):
        top = 16 + number * (side + GAP)
        draw.text((2, top + side // 2 - 6), label, fill='black')
        for column, frame in enumerate(frames):
            image = Image.fromarray(as_uint8(frame)).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(image, (LABEL_WIDTH + column * (side + GAP), top))
    return sheet


def save_sheet(sheet: Image.Image, path: Path) -> None:
    """Write a JPEG of at most :data:`MAX_BYTES`, in the best quality that fits.

    Raises:
        ValueError: if not even the worst quality fits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in QUALITIES:
        sheet.save(path, quality=quality, subsampling=0)
        if path.stat().st_size <= MAX_BYTES:
            return
    raise ValueError(f"'{path}' would have {path.stat().st_size} bytes, but {MAX_BYTES} are allowed. Use fewer rows.")

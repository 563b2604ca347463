"""Progress bars, one way to make them."""

from __future__ import annotations

from typing import Any


def progress_bar(description: str, total: int, *, show: bool = True) -> Any:
    """A tqdm bar on standard error for ``total`` units of work; silent unless ``show``."""
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=description, disable=not show, leave=False)

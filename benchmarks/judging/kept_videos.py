"""Generated videos in a folder, without loss, so that a measurement of an hour resumes after an interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelscope_i2v.files import replacing
from modelscope_i2v.training.fingerprint import fingerprint


@dataclass(frozen=True)
class KeptVideos:
    """Videos of one model.

    Attributes:
        folder: where they are kept; it is made with the first of them.
        model: a digest of the model and of how it is called. Videos of another one are not taken for its own.
    """

    folder: Path
    model: str

    def video(self, picture: np.ndarray, text: str, seed: int, generate: Callable[[], np.ndarray]) -> np.ndarray:
        """The kept video of ``picture`` (uint8 ``[H, W, 3]``), ``text`` and ``seed``; if there is none, a new one.

        Args:
            generate: makes it, uint8 ``[F, H, W, 3]``. It is kept before it is returned.
        """
        made_from = fingerprint(self.model, picture.shape, picture.tobytes(), text, seed)
        path = self.folder / f'{made_from}.npz'
        if path.exists():
            with np.load(path) as kept:
                frames: np.ndarray = kept['frames']
                return frames
        frames = generate()
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft, draft.open('wb') as file:
            np.savez_compressed(file, frames=frames)
        return frames

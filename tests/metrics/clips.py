"""Clips with known metrics, and encoders that can be computed by hand."""

import cv2
import numpy as np
import torch

RED, GREEN, YELLOW = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.0)


def plain(*colours, size=(12, 16)):
    """One frame of each colour, ``[F, 3, H, W]``; a number is a grey."""
    rows = [(colour,) * 3 if isinstance(colour, (int, float)) else colour for colour in colours]
    return torch.tensor(rows, dtype=torch.float32)[:, :, None, None].expand(-1, -1, *size).clone()


def moving_texture(step, count=6, height=64, width=96, seed=0):
    """uint8 ``[F, H, W, 3]``: a smooth texture that moves ``step`` whole pixels to the left with every frame."""
    noise = np.random.default_rng(seed).random((height, width + step * count, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    texture = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    return np.stack([texture[:, step * index : step * index + width] for index in range(count)])


def mean_colour(frames):
    """An encoder: ``[N, 3, H, W] -> [N, 3]``."""
    return frames.mean(dim=(2, 3))

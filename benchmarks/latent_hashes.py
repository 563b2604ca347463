"""Hashes of the latents of both small models of the first generation, to see whether a code change changed the numbers.

    python -m benchmarks.latent_hashes > after.txt

Run it on both commits and compare. In a checkout that has no such file yet, copy it there first.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

import modelscope_i2v
from benchmarks.first_generation import MODELS

SEEDS = (0, 1, 8888)
#: Short calls that cover every sampler, guidance, windows, and the processing of the input.
CALLS = {
    'image-to-video': [
        {'solver': 'ddim', 'steps': 4},
        {'solver': 'ddim', 'steps': 12, 'eta': 0.7, 'num_frames': 3},
        {'solver': 'dpmpp_2m', 'steps': 3, 'num_frames': 3, 'fit': 'contain'},
        {'solver': 'unipc', 'steps': 4, 'num_frames': 3, 'noise_strength': 0.3, 'fps': 4},
        {'solver': 'euler', 'steps': 3, 'num_frames': 3, 'guidance_rescale': 0.5, 'timestep_spacing': 'leading'},
    ],
    'video-to-video': [
        {'solver': 'dpmpp_2m_sde', 'steps': 3},
        {'solver': 'heun', 'steps': 2, 'noise_level': 300, 'text': 'a red circle'},
        {'solver': 'dpmpp_2m', 'steps': 3, 'num_frames': 5, 'height': 96, 'width': 64},
        {'solver': 'unipc', 'steps': 4, 'num_frames': 20, 'height': 64, 'width': 64, 'window_overlap': 3},
    ],
}


def main() -> None:
    """Print one line per call: its arguments and the SHA-256 of its latents."""
    torch.set_num_threads(1)  # sums depend on the number of threads
    picture = Path(__file__).parents[1] / 'examples' / 'cat.jpg'
    video = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
    for task, calls in CALLS.items():
        pipeline = modelscope_i2v.load(MODELS[task], device='cpu', show_progress=False)
        source = str(picture) if task == 'image-to-video' else video
        for call in calls:
            for seed in SEEDS:
                latents = pipeline(source, seed=seed, output_type='latent', **call)['output_video']
                print(task, call, seed, hashlib.sha256(latents.numpy().tobytes()).hexdigest())


if __name__ == '__main__':
    main()

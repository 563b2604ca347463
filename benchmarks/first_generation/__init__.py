"""Small models of the first generation, on which ``image_strength``, the pages' strips and the samplers are measured.

``python -m demo_training`` trains them, on a small world of moving shapes and landscapes.
"""

from __future__ import annotations

from pathlib import Path

#: Both stages, by task: 16 frames of 64x64 pixels from a picture alone, and their enlargement to 128x128.
MODELS = {
    'image-to-video': str(Path(__file__).parent / 'Image-to-Video'),
    'video-to-video': str(Path(__file__).parent / 'Video-to-Video'),
}
#: Stage 1.
FIRST_GENERATION = MODELS['image-to-video']

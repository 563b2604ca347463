"""Small models of the first generation, on which ``image_strength``, the pages' strips and the samplers are measured.

They are the embedded models now, and stay here when those of the second generation take their place.
"""

from __future__ import annotations

from modelscope_i2v import embedded_model

#: Both stages, by task: 16 frames of 64x64 pixels from a picture alone, and their enlargement to 128x128.
MODELS = {task: embedded_model(task) for task in ('image-to-video', 'video-to-video')}
#: Stage 1.
FIRST_GENERATION = MODELS['image-to-video']

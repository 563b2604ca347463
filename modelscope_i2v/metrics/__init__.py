"""Numbers that say how good a video is: likeness to its source, steadiness, motion, sharpness.

Frames are float32 RGB ``[F, 3, H, W]`` in 0..1, or uint8 RGB ``[F, H, W, 3]`` arrays (see :func:`as_frames`). Measures
of likeness take an encoder ``[N, 3, H, W] in 0..1 -> [N, D]``, usually CLIP's image tower (:func:`load_image_encoder`);
values of different encoders cannot be compared.

No number alone makes a good video: a frozen picture is the steadiest of all. Look at steadiness beside :func:`motion`,
whose coherence a frozen clip and a flickering one both fail.
"""

from modelscope_i2v.metrics.consistency import temporal_consistency
from modelscope_i2v.metrics.evaluation import Evaluation, evaluate
from modelscope_i2v.metrics.fidelity import psnr, ssim
from modelscope_i2v.metrics.flicker import flicker
from modelscope_i2v.metrics.frames import as_frames
from modelscope_i2v.metrics.image_encoder import image_encoder, load_image_encoder
from modelscope_i2v.metrics.motion import Motion, motion
from modelscope_i2v.metrics.sharpness import sharpness
from modelscope_i2v.metrics.similarity import Similarity, image_video_similarity, video_video_similarity

__all__ = [
    'Evaluation',
    'Motion',
    'Similarity',
    'as_frames',
    'evaluate',
    'flicker',
    'image_encoder',
    'image_video_similarity',
    'load_image_encoder',
    'motion',
    'psnr',
    'sharpness',
    'ssim',
    'temporal_consistency',
    'video_video_similarity',
]

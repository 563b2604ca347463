"""Metrics of video quality: similarity to the source, steadiness, motion and sharpness.

Frames are float32 RGB ``[F, 3, H, W]`` in 0..1, or uint8 RGB ``[F, H, W, 3]`` arrays (see :func:`as_frames`).
Similarity metrics take an encoder ``[N, 3, H, W] in 0..1 -> [N, D]``, usually CLIP's image tower
(:func:`load_image_encoder`). Values from different encoders cannot be compared.

No single number makes a good video: a frozen picture is the steadiest of all. So read steadiness together with
:func:`motion`: both a frozen clip and a flickering one have low coherence.
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

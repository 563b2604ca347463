"""Stage 1's trainer for ModelScope's ``build_trainer``."""

from __future__ import annotations

from modelscope.trainers.builder import TRAINERS

from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.training.modelscope_trainer import GenerationTrainer


@TRAINERS.register_module(module_name=IMAGE_TO_VIDEO.trainer, force=True)
class ImageToVideoTrainer(GenerationTrainer):
    """Fine-tuning of stage 1; see :class:`GenerationTrainer` for the arguments."""

    stage = IMAGE_TO_VIDEO

"""Stage 2's trainer for ModelScope's ``build_trainer``."""

from __future__ import annotations

from modelscope.trainers.builder import TRAINERS

from modelscope_i2v.training.modelscope_trainer import GenerationTrainer
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO


@TRAINERS.register_module(module_name=VIDEO_TO_VIDEO.trainer, force=True)
class VideoToVideoTrainer(GenerationTrainer):
    """Fine-tuning of stage 2; see :class:`GenerationTrainer` for the arguments."""

    stage = VIDEO_TO_VIDEO

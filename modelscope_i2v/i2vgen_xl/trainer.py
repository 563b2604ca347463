"""The second generation's trainer for ModelScope's ``build_trainer``."""

from __future__ import annotations

from modelscope.trainers.builder import TRAINERS

from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.training.modelscope_trainer import GenerationTrainer


@TRAINERS.register_module(module_name=I2VGEN_XL.trainer, force=True)
class I2VGenXLTrainer(GenerationTrainer):
    """Fine-tuning of the second generation; see :class:`GenerationTrainer` for the arguments."""

    stage = I2VGEN_XL

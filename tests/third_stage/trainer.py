from modelscope.trainers.builder import TRAINERS

from modelscope_i2v.training.modelscope_trainer import GenerationTrainer
from tests.third_stage.stage import TEXT_TO_VIDEO


@TRAINERS.register_module(module_name=TEXT_TO_VIDEO.trainer, force=True)
class TextToVideoTrainer(GenerationTrainer):
    stage = TEXT_TO_VIDEO

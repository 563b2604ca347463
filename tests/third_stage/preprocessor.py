from modelscope.preprocessors.builder import PREPROCESSORS
from modelscope.utils.constant import Fields

from modelscope_i2v.generation.modelscope_bases import Preprocessor
from modelscope_i2v.model_folder import ModelFolder
from tests.third_stage.stage import TEXT_TO_VIDEO


@PREPROCESSORS.register_module(Fields.multi_modal, module_name=TEXT_TO_VIDEO.preprocessor, force=True)
class TextToVideoPreprocessor(Preprocessor):
    def __init__(self, model_dir, mode='inference', **_):
        super().__init__(mode)
        self.folder = ModelFolder.of(model_dir, TEXT_TO_VIDEO)

    def __call__(self, data, backwards=False):
        return {'text': data[::-1] if backwards else data}

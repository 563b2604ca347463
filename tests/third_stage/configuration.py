from dataclasses import dataclass

from modelscope_i2v.checks import legal_size
from modelscope_i2v.generation.configuration import StageConfiguration
from tests.third_stage.samplers import SAMPLERS


@dataclass(frozen=True, kw_only=True)
class TextToVideoConfiguration(StageConfiguration):
    side: int = 32

    solvers = tuple(SAMPLERS)

    def check_call(self, arguments):
        legal_size('height', arguments.height, 16, 0)
        legal_size('width', arguments.width, 16, 0)

    def call_defaults(self, model_args=None):
        size = {'height': self.side, 'width': self.side, 'num_frames': self.max_frames}
        return {**super().call_defaults(model_args), **size}

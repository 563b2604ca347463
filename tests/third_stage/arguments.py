from dataclasses import dataclass

from modelscope_i2v.checks import choice
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import GenerationArguments, option
from tests.third_stage.samplers import SAMPLERS


@dataclass(frozen=True, kw_only=True)
class TextToVideoArguments(GenerationArguments):
    solver: str | None = option('euler', 'sampler', cli=str, choices=tuple(SAMPLERS))
    backwards: bool = option(False, 'take the text from its end')

    samplers = SAMPLERS

    def __post_init__(self):
        choice('solver', self.solver, SAMPLERS, error=InputError)
        super().__post_init__()
        self.resolve('steps', self.sampler.steps)
        self.resolve('timestep_spacing', self.sampler.default_spacing(self.steps))
        self.resolve('output_fps', 8.0)

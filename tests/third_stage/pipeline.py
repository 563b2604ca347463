from modelscope.pipeline_inputs import InputType
from modelscope.pipelines.builder import PIPELINES

from modelscope_i2v.generation.modelscope_tables import describe_inputs_and_outputs
from modelscope_i2v.generation.pipeline import GenerationPipeline
from modelscope_i2v.generation.signatures import takes
from modelscope_i2v.runtime.progress import progress_bar
from tests.third_stage.arguments import TextToVideoArguments
from tests.third_stage.stage import TEXT_TO_VIDEO

describe_inputs_and_outputs(TEXT_TO_VIDEO, InputType.TEXT)


@PIPELINES.register_module(TEXT_TO_VIDEO.task, module_name=TEXT_TO_VIDEO.pipeline, force=True)
class TextToVideoPipeline(GenerationPipeline):
    stage = TEXT_TO_VIDEO

    @takes(TextToVideoArguments)
    def __call__(self, input, *positional, **arguments):
        return self.generate(input, *positional, **arguments)

    def preprocess(self, inputs, arguments):
        return self.preprocessor(inputs, backwards=arguments.backwards)

    def forward(self, inputs, arguments):
        with progress_bar('Sampling', arguments.steps, show=arguments.show_progress) as bar:
            return self.model(inputs['text'], arguments, self.after_step(arguments, bar))['latents']

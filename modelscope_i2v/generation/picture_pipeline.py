"""What the pipelines share whose input is a picture: the video may follow its shape, and begin with it."""

from __future__ import annotations

from typing import Any

import torch
from modelscope.pipeline_inputs import InputType

from modelscope_i2v.generation.pipeline import GenerationPipeline
from modelscope_i2v.generation.video_size import InputSize
from modelscope_i2v.runtime.progress import progress_bar

#: What ModelScope is told that such a pipeline takes.
INPUTS = [InputType.IMAGE, {'image': InputType.IMAGE, 'text': InputType.TEXT}]


class PicturePipeline(GenerationPipeline):
    """Base of the pipelines that turn pictures into videos."""

    def preprocess(self, inputs: Any, arguments: Any) -> dict[str, Any]:
        image = self.preprocessor.picture(inputs, arguments.background)
        self.check_memory(arguments, InputSize.of(image))  # before a frame of that size is made
        names = ('fit', 'height', 'width')
        prepared: dict[str, Any] = self.preprocessor(image, **{name: getattr(arguments, name) for name in names})
        return prepared

    def forward(self, inputs: dict[str, Any], arguments: Any) -> torch.Tensor:
        with progress_bar('Sampling', arguments.steps_taken, show=arguments.show_progress) as bar:
            made = self.model(**inputs, arguments=arguments, callback=self.after_step(arguments, bar))
            out: torch.Tensor = made['latents']
            return out

    def file_options(self, arguments: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        height, width = inputs['frame'].shape[-2:]
        recipe = {**self.recipe(arguments), 'height': height, 'width': width}
        return {**super().file_options(arguments, inputs), 'recipe': [recipe]}

"""Taking over ModelScope's names for the two tasks.

ModelScope finds classes through an index that it makes by parsing its own source. The built-in entries point to modules
that fail at import (and that register without ``force``, so importing them after ours would fail too); rewriting the
entries in the index in memory makes every later look-up import our modules instead. Deleting them would not do: a name
that is missing there costs a warning per build and sends ``Model.from_pretrained`` to transformers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """The names of one stage in ModelScope, and the package that serves them."""

    task: str
    model: str
    preprocessor: str
    pipeline: str
    pipeline_class: str
    trainer: str
    default_hub_model: str
    package: str


IMAGE_TO_VIDEO = Stage(
    task='image-to-video',
    model='image-to-video-model',
    preprocessor='image-to-video-preprocessor',
    pipeline='image-to-video-task-pipeline',
    pipeline_class='ImageToVideoPipeline',
    trainer='image-to-video-trainer',
    default_hub_model='damo/Image-to-Video',
    package='modelscope_i2v.image_to_video',
)
VIDEO_TO_VIDEO = Stage(
    task='video-to-video',
    model='video-to-video-model',
    preprocessor='video-to-video-preprocessor',
    pipeline='video-to-video-pipeline',
    pipeline_class='VideoToVideoPipeline',
    trainer='video-to-video-trainer',
    default_hub_model='damo/Video-to-Video',
    package='modelscope_i2v.video_to_video',
)
STAGES = (IMAGE_TO_VIDEO, VIDEO_TO_VIDEO)

#: The field that ModelScope files both tasks' preprocessors under.
FIELD = 'multi-modal'


def register() -> None:
    """Point ModelScope's index and its light tables to our classes; calling it again changes nothing."""
    from modelscope.metainfo import DEFAULT_MODEL_FOR_PIPELINE
    from modelscope.preprocessors.base import PREPROCESSOR_MAP
    from modelscope.utils.import_utils import LazyImportModule

    index = LazyImportModule.get_ast_index()['index']
    for stage in STAGES:
        modules = {
            ('MODELS', stage.task, stage.model): f'{stage.package}.model',
            ('PIPELINES', stage.task, stage.pipeline): f'{stage.package}.pipeline',
            ('PREPROCESSORS', FIELD, stage.preprocessor): f'{stage.package}.preprocessor',
            ('TRAINERS', 'default', stage.trainer): 'modelscope_i2v.training.modelscope_trainer',
        }
        for signature, module in modules.items():
            index[signature] = {'filepath': '', 'imports': [], 'module': module}
        PREPROCESSOR_MAP.setdefault((stage.model, stage.task), stage.preprocessor)
        DEFAULT_MODEL_FOR_PIPELINE.setdefault(stage.task, (stage.pipeline, stage.default_hub_model))


def register_inputs_and_outputs(stage: Stage, inputs: object) -> None:
    """Describe a task's input and output to ModelScope, unless it does so itself.

    These tables cost a second to import and are first read when a pipeline runs, so pipeline modules call this.
    """
    from modelscope.outputs import TASK_OUTPUTS, OutputKeys
    from modelscope.pipeline_inputs import TASK_INPUTS

    TASK_INPUTS.setdefault(stage.task, inputs)
    TASK_OUTPUTS.setdefault(stage.task, [OutputKeys.OUTPUT_VIDEO])

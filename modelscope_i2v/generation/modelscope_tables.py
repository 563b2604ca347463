"""ModelScope's own tables of the inputs and outputs of tasks."""

from __future__ import annotations

from modelscope_i2v.stage import Stage


def describe_inputs_and_outputs(stage: Stage, inputs: object) -> None:
    """Describe a task's input and output to ModelScope, unless ModelScope already describes them.

    These tables cost a second to import and are first read when a pipeline runs, so pipeline modules call this.
    """
    from modelscope.outputs import TASK_OUTPUTS, OutputKeys
    from modelscope.pipeline_inputs import TASK_INPUTS

    TASK_INPUTS.setdefault(stage.task, inputs)
    TASK_OUTPUTS.setdefault(stage.task, [OutputKeys.OUTPUT_VIDEO])

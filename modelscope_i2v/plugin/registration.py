"""Taking over ModelScope's names for our tasks.

ModelScope finds classes through an index that it makes by parsing its own source. The built-in entries point to modules
that fail at import (and that register without ``force``, so importing them after ours would fail too); rewriting the
entries in the index in memory makes every later look-up import our modules instead. Deleting them would not do: a name
that is missing there costs a warning per build and sends ``Model.from_pretrained`` to transformers.
"""

from __future__ import annotations

from modelscope_i2v.stage import Stage, stages

#: The field that ModelScope files the preprocessors of our tasks under.
FIELD = 'multi-modal'


def register() -> None:
    """Point ModelScope's index and its light tables to our classes; calling it again changes nothing."""
    from modelscope.metainfo import DEFAULT_MODEL_FOR_PIPELINE
    from modelscope.preprocessors.base import PREPROCESSOR_MAP
    from modelscope.utils.import_utils import LazyImportModule

    index = LazyImportModule.get_ast_index()['index']
    for stage in stages():
        for signature, module in signatures(stage).items():
            index[signature] = {'filepath': '', 'imports': [], 'module': module}
        PREPROCESSOR_MAP.setdefault((stage.model, stage.task), stage.preprocessor)
        if stage.default_hub_model is not None:
            DEFAULT_MODEL_FOR_PIPELINE.setdefault(stage.task, (stage.pipeline, stage.default_hub_model))


def signatures(stage: Stage) -> dict[tuple[str, str, str], str]:
    """ModelScope's keys of a stage's classes, and the modules that hold them."""
    modules = stage.modules
    return {
        ('MODELS', stage.task, stage.model): modules['MODELS'],
        ('PIPELINES', stage.task, stage.pipeline): modules['PIPELINES'],
        ('PREPROCESSORS', FIELD, stage.preprocessor): modules['PREPROCESSORS'],
        ('TRAINERS', 'default', stage.trainer): modules['TRAINERS'],
    }

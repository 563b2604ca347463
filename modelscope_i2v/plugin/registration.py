"""Taking over ModelScope's names for our tasks.

ModelScope finds classes through an index that it makes by parsing its own source. The built-in entries point to modules
that fail at import. They also register without ``force``, so importing them after ours would fail, too. We rewrite
the entries of the index in memory, so every later look-up imports our modules instead. Deleting the entries is not
enough: a missing name causes a warning per build and makes ``Model.from_pretrained`` fall back to transformers.
"""

from __future__ import annotations

from modelscope_i2v.stage import Stage, stages

#: The field that ModelScope files the preprocessors of our tasks under.
FIELD = 'multi-modal'


def register() -> None:
    """Point ModelScope's index and its lightweight tables to our classes. Calling it again changes nothing."""
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
    """ModelScope's keys of a stage's classes -> the modules that contain them."""
    modules = stage.modules
    return {
        ('MODELS', stage.task, stage.model): modules['MODELS'],
        ('PIPELINES', stage.task, stage.pipeline): modules['PIPELINES'],
        ('PREPROCESSORS', FIELD, stage.preprocessor): modules['PREPROCESSORS'],
        ('TRAINERS', 'default', stage.trainer): modules['TRAINERS'],
    }

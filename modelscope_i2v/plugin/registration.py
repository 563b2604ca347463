"""Taking over ModelScope's names for our tasks.

ModelScope finds classes through an index that it makes by parsing its own source. The built-in entries point to modules
that fail at import. They also register without ``force``, so importing them after ours would fail, too. We rewrite
the entries of the index in memory, so every later look-up imports our modules instead. Deleting the entries is not
enough: a missing name causes a warning per build and makes ``Model.from_pretrained`` fall back to transformers.

Importing ModelScope takes seconds, because it imports PyTorch. So each of its tables gets our entries when the module
that holds it is loaded: nobody can look something up earlier.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType, ModuleType

from modelscope_i2v.plugin.after_import import AfterImport
from modelscope_i2v.stage import Stage, stages

logger = logging.getLogger(__name__)

#: The field that ModelScope files the preprocessors of our tasks under.
FIELD = 'multi-modal'


def register() -> None:
    """Put our entries into ModelScope's tables: now, or as soon as they are there.

    Calling it again is cheap. It makes up for imports that our finder did not see, because another one came first, or
    because ``sys.meta_path`` was restored.
    """
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    # Another thread may be loading ModelScope, and have looked for a table before there was our finder. So wait for it.
    # The package comes first: waiting for it with the lock of one of its modules in hand could be a deadlock.
    whole = 'modelscope' in sys.modules and _loaded('modelscope') is not None
    for name, fill in TABLES.items():
        # An import of ModelScope that failed leaves modules behind, which the next one does not load again.
        if (whole or name in sys.modules) and (table := _loaded(name)) is not None:
            _try(fill, table)


def signatures(stage: Stage) -> dict[tuple[str, str, str], str]:
    """ModelScope's keys of a stage's classes -> the modules that contain them."""
    modules = stage.modules
    return {
        ('MODELS', stage.task, stage.model): modules['MODELS'],
        ('PIPELINES', stage.task, stage.pipeline): modules['PIPELINES'],
        ('PREPROCESSORS', FIELD, stage.preprocessor): modules['PREPROCESSORS'],
        ('TRAINERS', 'default', stage.trainer): modules['TRAINERS'],
    }


def _fill_index(import_utils: ModuleType) -> None:
    index = import_utils.LazyImportModule.get_ast_index()['index']
    for stage in stages():
        for signature, module in signatures(stage).items():
            index[signature] = {'filepath': '', 'imports': [], 'module': module}


def _fill_default_models(metainfo: ModuleType) -> None:
    for stage in stages():
        if stage.default_hub_model is not None:
            metainfo.DEFAULT_MODEL_FOR_PIPELINE.setdefault(stage.task, (stage.pipeline, stage.default_hub_model))


def _fill_preprocessors(base: ModuleType) -> None:
    for stage in stages():
        base.PREPROCESSOR_MAP.setdefault((stage.model, stage.task), stage.preprocessor)


def _loaded(name: str) -> ModuleType | None:
    """ModelScope's module ``name``; None if it cannot be imported. If that is possible later, our finder sees it."""
    try:
        return import_module(name)
    except ImportError:
        return None  # a part that is not installed
    except Exception as error:
        logger.warning('modelscope_i2v cannot register in %s, whose import fails: %r.', name, error)
        return None


def _try(fill: Callable[[ModuleType], None], table: ModuleType) -> None:
    """Fill a table. Failures only warn: it may be somebody else's program that imports ModelScope."""
    try:
        fill(table)
    except Exception as error:
        logger.warning(
            'modelscope_i2v cannot register in %s: %r. Use a version of ModelScope that it supports.',
            table.__name__,
            error,
        )


#: ModelScope's modules -> what fills the table in each of them.
TABLES: Mapping[str, Callable[[ModuleType], None]] = MappingProxyType(
    {
        'modelscope.utils.import_utils': _fill_index,
        'modelscope.metainfo': _fill_default_models,
        'modelscope.preprocessors.base': _fill_preprocessors,
    }
)
FINDER = AfterImport({name: partial(_try, fill) for name, fill in TABLES.items()})

"""Acting on a module when it is loaded, shown on modules made for it."""

import importlib
import sys

import pytest

from modelscope_i2v.plugin.after_import import AfterImport


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that can be imported and was not."""
    name = 'acted_on'
    (tmp_path / f'{name}.py').write_text('table = {"theirs": 1}\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, 'meta_path', list(sys.meta_path))
    yield name
    sys.modules.pop(name, None)


def test_it_acts_once_the_module_is_loaded_and_again_when_it_is_reloaded(module):
    seen = []
    sys.meta_path.insert(0, AfterImport({module: lambda loaded: seen.append(dict(loaded.table))}))
    assert importlib.util.find_spec(module) is not None
    assert seen == []
    loaded = importlib.import_module(module)
    assert seen == [{'theirs': 1}]
    assert importlib.import_module(module) is loaded
    assert len(seen) == 1
    importlib.reload(loaded)
    assert len(seen) == 2


def test_several_of_them_do_not_ask_each_other_forever(module):
    seen = []
    first, second, late = (AfterImport({module: lambda _, name=name: seen.append(name)}) for name in 'abc')
    sys.meta_path[:0] = [first, second]
    sys.meta_path.append(late)  # the module is found before this one is asked
    importlib.import_module(module)
    assert seen == ['b', 'a']


def test_a_module_that_does_not_exist_still_does_not(module):
    sys.meta_path.insert(0, AfterImport({'no_such_module': print}))
    assert importlib.util.find_spec('no_such_module') is None
    assert sys.meta_path[0].find_spec(module) is None

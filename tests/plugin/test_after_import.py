"""Acting on a module when it is loaded, shown on modules made for it."""

import importlib.util
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


class FixedLoader:
    """A loader that cannot be changed, of a finder that has one for all modules."""

    __slots__ = ()

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.seen = module.__loader__, module.__spec__.loader

    def get_source(self, name):
        return f'the source of {name}'


class Finder:
    loader = FixedLoader()

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self.loader) if name in ('one_of_its', 'another') else None


def test_a_loader_of_several_modules_stays_as_it_is(monkeypatch):
    acted = []
    finder = AfterImport({'one_of_its': acted.append})
    monkeypatch.setattr(sys, 'meta_path', [finder, Finder(), *sys.meta_path])
    assert finder.find_spec('one_of_its').loader.get_source('one_of_its') == 'the source of one_of_its'
    modules = [importlib.import_module(name) for name in ('another', 'one_of_its')]
    for module in modules:
        del sys.modules[module.__name__]
        assert {*module.seen, module.__loader__, module.__spec__.loader} == {Finder.loader}
    assert acted == modules[1:]


def test_a_module_that_does_not_exist_still_does_not(module):
    sys.meta_path.insert(0, AfterImport({'no_such_module': print}))
    assert importlib.util.find_spec('no_such_module') is None
    assert sys.meta_path[0].find_spec(module) is None

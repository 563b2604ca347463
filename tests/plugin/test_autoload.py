"""The start-up hook, in virtual environments made for it."""

import os

import pytest

from tests.environments import new_environment, run_in, site_packages

REGISTERED = """
import sys
assert 'modelscope_i2v' not in sys.modules
from modelscope.pipelines import pipeline
assert 'modelscope_i2v' in sys.modules
from modelscope.utils.import_utils import LazyImportModule
index = LazyImportModule.get_ast_index()['index']
assert index['PIPELINES', 'image-to-video', 'image-to-video-task-pipeline']['module'].startswith('modelscope_i2v.')
"""
OTHER_WAYS = {
    'models': "from modelscope.models import Model; assert 'modelscope_i2v' in sys.modules",
    'trainers': "from modelscope.trainers import build_trainer; assert 'modelscope_i2v' in sys.modules",
    'top': "from modelscope import pipeline; assert 'modelscope_i2v' in sys.modules",
    'ours first': 'import modelscope_i2v; from modelscope.pipelines import pipeline',
    'looked for first': (
        "import importlib.util; importlib.util.find_spec('modelscope.pipelines'); "
        "from modelscope.pipelines import pipeline; assert 'modelscope_i2v' in sys.modules"
    ),
    'nothing': "import json; assert 'modelscope' not in sys.modules and 'modelscope_i2v' not in sys.modules",
}
#: ModelScope's own lazy imports may fail in threads; they must not hang.
THREADS = """
import contextlib, importlib, sys, threading

def look_up(name):
    with contextlib.suppress(ImportError, AttributeError):
        importlib.import_module(name)

names = ('modelscope.pipelines', 'modelscope.models')
threads = [threading.Thread(target=look_up, args=(name,), daemon=True) for name in names]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
    assert not thread.is_alive()
assert 'modelscope_i2v' in sys.modules
print('registered')
"""


@pytest.fixture
def environment(tmp_path):
    """A virtual environment that finds all packages of this one, and this checkout."""
    return new_environment(tmp_path / 'venv')


def autoload(environment, option):
    done = run_in(environment, '-m', 'modelscope_i2v.cli.main', 'autoload', option)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(environment):
    return sorted(path.name for path in site_packages(environment).glob('*autoload*'))


@pytest.mark.slow
def test_enabled_the_import_of_modelscope_registers(environment):
    assert run_in(environment, '-c', REGISTERED).returncode != 0
    assert 'Autoload is disabled' in autoload(environment, '--status')
    assert 'Autoload is enabled' in autoload(environment, '--enable')
    assert files(environment) == ['_modelscope_i2v_autoload.pth', '_modelscope_i2v_autoload.py']
    done = run_in(environment, '-c', REGISTERED)
    assert (done.returncode, done.stderr) == (0, '')
    assert 'Autoload is enabled' in autoload(environment, '--status')
    assert run_in(environment, '-c', REGISTERED, MODELSCOPE_I2V_AUTOLOAD='0').returncode != 0
    assert 'removed' in autoload(environment, '--disable')
    assert files(environment) == []
    assert 'was not enabled' in autoload(environment, '--disable')
    assert run_in(environment, '-c', REGISTERED).returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize('way', OTHER_WAYS)
def test_it_does_so_whatever_is_imported(way, environment):
    autoload(environment, '--enable')
    done = run_in(environment, '-c', f'import sys; {OTHER_WAYS[way]}')
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.slow
def test_threads_that_import_at_once_do_not_wait_for_each_other(environment):
    autoload(environment, '--enable')
    done = run_in(environment, '-c', THREADS, timeout=120)
    assert done.stdout == 'registered\n', done.stderr


@pytest.mark.slow
def test_it_never_disturbs_an_interpreter(environment):
    """It does no harm without this package, without its own module, or with a broken package."""
    autoload(environment, '--enable')
    packages = site_packages(environment)
    borrowed = packages / 'borrowed.pth'
    borrowed.write_text(borrowed.read_text().splitlines()[0] + '\n')
    broken = packages / 'modelscope_i2v.py'
    for code, said in (("raise OSError('broken')", 'could not be loaded'), (None, '')):
        if code is None:
            broken.unlink()
        else:
            broken.write_text(code)  # before any installation next to torch
        for options in ((), ('-W', 'error::RuntimeWarning')):
            done = run_in(environment, *options, '-c', 'from modelscope.pipelines import pipeline')
            assert done.returncode == 0, done.stderr
            assert (said in done.stderr) if not options else done.stderr == ''
    for damage in ('raise RuntimeError("broken")', 'no python'):
        (packages / '_modelscope_i2v_autoload.py').write_text(damage)
        done = run_in(environment, '-c', 'print(1)')
        assert (done.returncode, done.stdout, done.stderr) == (0, '1\n', '')
    (packages / '_modelscope_i2v_autoload.py').unlink()
    done = run_in(environment, '-c', 'print(1)')
    assert (done.returncode, done.stdout, done.stderr) == (0, '1\n', '')


@pytest.mark.slow
def test_a_hook_of_another_version_is_noticed(environment):
    autoload(environment, '--enable')
    hook = site_packages(environment) / '_modelscope_i2v_autoload.py'
    hook.write_text(hook.read_text() + '# older')
    assert 'Run --enable again' in autoload(environment, '--status')
    autoload(environment, '--enable')
    assert 'again' not in autoload(environment, '--status')


def test_a_folder_that_cannot_be_written_to_is_refused(environment):
    if os.geteuid() == 0:
        pytest.skip('root can write everywhere')
    packages = site_packages(environment)
    packages.chmod(0o555)
    done = run_in(environment, '-m', 'modelscope_i2v.cli.main', 'autoload', '--enable')
    packages.chmod(0o755)
    assert done.returncode == 1
    assert 'can be written to. Use a virtual environment of your own' in done.stderr

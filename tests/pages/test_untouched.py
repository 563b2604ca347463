"""The hub's own scripts, which do not import this package, in environments where it is only installed."""

import pytest

from tests.environments import ROOT, new_environment, run_in
from tests.hub.server import serving
from tests.pages.blocks import on_cpu, prepare, python_blocks

#: From stage 1's page: the single stage, and the chain.
SCRIPTS = [on_cpu(block) for block in python_blocks(ROOT / 'model_card' / 'Image-to-Video' / 'README.md')[:2]]


@pytest.fixture
def hub(published):
    """The pages as they were before this package, without code of their own."""
    with serving() as hub:
        for name in ('Image-to-Video', 'Video-to-Video'):
            hub.serve(f'damo/{name}', 'v1.1.0', published / 'before' / name)
        yield hub


def enable(environment):
    done = run_in(environment, '-m', 'modelscope_i2v.cli.main', 'autoload', '--enable')
    assert done.returncode == 0, done.stderr


def run_scripts(environment, hub, tmp_path):
    for number, script in enumerate(SCRIPTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        prepare(folder)
        variables = {'MODELSCOPE_ENDPOINT': hub.endpoint, 'MODELSCOPE_CACHE': str(tmp_path / 'cache')}
        done = run_in(environment, '-c', script, cwd=folder, **variables)
        assert done.returncode == 0, done.stderr
        output = done.stdout.splitlines()[-1]
        assert (folder / output).stat().st_size > 0


@pytest.mark.slow
def test_with_autoload_they_run_as_they_are(hub, tmp_path):
    assert all('modelscope_i2v' not in script for script in SCRIPTS)
    environment = new_environment(tmp_path / 'venv')
    enable(environment)
    run_scripts(environment, hub, tmp_path)


@pytest.mark.slow
def test_installed_from_the_checkout(hub, tmp_path):
    """``pip install .`` and ``autoload --enable``, then only ModelScope's own import."""
    environment = new_environment(tmp_path / 'venv', with_checkout=False, with_pip=True)
    done = run_in(environment, '-m', 'pip', 'install', '--no-deps', ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    where = run_in(environment, '-c', 'import modelscope_i2v; print(modelscope_i2v.__file__)').stdout
    assert where.startswith(str(environment))
    enable(environment)
    run_scripts(environment, hub, tmp_path)

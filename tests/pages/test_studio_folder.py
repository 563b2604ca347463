"""The folder of a Studio on ModelScope: everything is in it, and it runs from what is in it."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest
import requests
import yaml

from model_card.studio.__main__ import FILES, ROOT, make_folder

pytest.importorskip('fastapi')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('studio') / 'folder'
    make_folder(folder)
    return folder


@pytest.fixture(scope='module')
def wheel(folder):
    (wheel,) = folder.glob('*.whl')
    return wheel


def test_the_folder_is_complete(folder, wheel):
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ['README.md', 'app.py', 'ms_deploy.json', 'requirements.txt', wheel.name]
    )
    assert (folder / 'requirements.txt').read_text() == f'./{wheel.name}[studio]\n'
    assert wheel.stat().st_size < 100 * 2**20  # larger files need Git LFS


def test_the_wheel_is_the_whole_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        metadata = opened.read(next(name for name in names if name.endswith('/METADATA'))).decode()
    files = [path for path in (ROOT / 'modelscope_i2v').rglob('*') if path.is_file()]
    package = {str(path.relative_to(ROOT)) for path in files if path.suffix not in ('.pyc', '.pyi')}
    assert package <= names, package - names
    assert not [name for name in names if '__pycache__' in name]
    assert {name.partition('/')[0].partition('-')[0] for name in names} == {'modelscope_i2v'}
    assert 'Provides-Extra: studio' in metadata


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / 'mine').touch()
    command = [sys.executable, '-m', 'model_card.studio', str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"'{tmp_path}' is not empty. Name a new folder.\n")
    assert [path.name for path in tmp_path.iterdir()] == ['mine']


def test_what_modelscope_reads(folder):
    deploy = json.loads((folder / 'ms_deploy.json').read_text())
    assert (deploy['sdk_type'], deploy['resource_configuration']) == ('gradio', 'platform/2v-cpu-16g-mem')
    assert all(set(entry) == {'name', 'value'} for entry in deploy['environment_variables'])
    assert not any(re.search('TOKEN|KEY|SECRET', entry['name']) for entry in deploy['environment_variables'])
    card = yaml.safe_load((folder / 'README.md').read_text(encoding='utf-8').split('---\n')[1])
    assert card['deployspec'] == {'entry_file': 'app.py'}
    assert card['license'] == 'Apache License 2.0'


def test_results_outlive_a_restart_if_there_is_a_place_for_them(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('studio_app', FILES / 'app.py')
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    assert str(app.KEPT) == '/mnt/workspace'
    assert app.results_folder(tmp_path) == tmp_path / 'modelscope_i2v'
    monkeypatch.setattr('tempfile.tempdir', '/elsewhere')
    assert str(app.results_folder(tmp_path / 'missing')) == '/elsewhere/modelscope_i2v'
    monkeypatch.delenv('GRADIO_SERVER_PORT', raising=False)
    assert {'--public', '0.0.0.0', '7860'} <= set(app.arguments())
    assert not any('token' in word for word in app.arguments())


def test_the_app_runs_from_the_wheel_and_makes_a_video_for_anybody(folder, wheel, tmp_path):
    installed = tmp_path / 'installed'
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(installed)
    environment = {**os.environ, 'PYTHONPATH': str(installed), 'GRADIO_SERVER_PORT': '0', 'TMPDIR': str(tmp_path)}
    with (
        (tmp_path / 'log').open('wb') as log,
        subprocess.Popen(
            [sys.executable, 'app.py'], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            found = re.search(r'http://0\.0\.0\.0:(\d+)', process.stdout.readline())
            assert found, (tmp_path / 'log').read_text()
            address = f'http://127.0.0.1:{found[1]}'
            from_modelscope = {'Host': 'someone-studio.ms.show', 'Origin': 'https://someone-studio.ms.show'}
            health = requests.get(f'{address}/health', headers=from_modelscope, timeout=30)
            assert (health.status_code, health.json()['status']) == (200, 'ok')
            picture = {'input_reference': (ROOT / 'examples' / 'cat.jpg').read_bytes()}
            data = {'steps': 1, 'num_frames': 2}
            made = requests.post(
                f'{address}/v1/videos/sync', data=data, files=picture, headers=from_modelscope, timeout=120
            )
            assert (made.status_code, made.content[4:8]) == (200, b'ftyp')
            names = {name.lower() for name in (*health.headers, *made.headers)}
            assert not any(name == 'authorization' or name.startswith(('x-modelscope', 'x-studio')) for name in names)
            data = {'source_video_id': made.headers['x-video-id'], 'stages': '1'}
            larger = requests.post(f'{address}/v1/videos/sync', data=data, headers=from_modelscope, timeout=300)
            assert (larger.status_code, larger.content[4:8]) == (200, b'ftyp')
            data = {'steps': 1, 'size': '512x512'}
            large = requests.post(f'{address}/v1/videos', data=data, files=picture, timeout=30)
            assert (large.status_code, large.json()['error']['code']) == (400, 'invalid_request')
            assert list((tmp_path / 'modelscope_i2v').glob('video_*/video.mp4'))
        finally:
            process.terminate()
            process.wait(60)
    assert 'Traceback' not in (tmp_path / 'log').read_text()

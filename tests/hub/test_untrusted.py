"""Callers of ``modelscope server`` send content; they name no files and no addresses."""

import argparse
import base64
import io
import threading
import urllib.error
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.cli.modelscope_command import I2VCommand
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.untrusted import callers_are_untrusted, untrusted_callers
from tests.calls import build_2
from tests.folders import IMAGE
from tests.hub.server import serving
from tests.hub.test_server_command import call, server

CONTENT = IMAGE.read_bytes()
BASE64 = base64.b64encode(CONTENT).decode()


def test_the_mode_is_off_by_default_and_ends():
    assert not callers_are_untrusted()
    with untrusted_callers():
        assert callers_are_untrusted()
        with untrusted_callers():
            assert callers_are_untrusted()
        assert callers_are_untrusted()
    assert not callers_are_untrusted()


CONTENTS = {
    'bytes': CONTENT,
    'base64': BASE64,
    'data URI': f'data:image/png;base64,{BASE64}',
    'picture': Image.open(io.BytesIO(CONTENT)),
    'in a dict': {'image': BASE64},
}


@pytest.mark.parametrize('kind', CONTENTS)
def test_content_is_taken(stage_1, kind):
    expected = stage_1(str(IMAGE), output_type='latent', seed=1)['output_video']
    with untrusted_callers():
        found = stage_1(CONTENTS[kind], output_type='latent', seed=1)['output_video']
    assert bool((found == expected).all())


REFUSED = {
    'path': str(IMAGE),
    'path object': IMAGE,
    'file URL': IMAGE.as_uri(),
    'address': 'http://127.0.0.1:9/a.png',
    'array': np.zeros((8, 8, 3), np.uint8),
    'number': 5,
    'nothing': None,
    'empty': '',
    'path in a dict': {'image': str(IMAGE)},
    'address in a dict': {'image': 'https://127.0.0.1:9/a.png'},
    'path in a list': [str(IMAGE)],
    'path in a list of dicts': [{'image': str(IMAGE)}],
}


@pytest.mark.parametrize('kind', REFUSED)
def test_names_are_refused(stage_1, kind):
    with untrusted_callers(), pytest.raises(InputError, match='Paths and addresses are not allowed here'):
        stage_1(REFUSED[kind])


def test_a_file_whose_name_is_base64_is_not_read(stage_1, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'abcd').write_bytes(CONTENT)
    stage_1('abcd')
    with untrusted_callers(), pytest.raises(InputError, match='is not an image'):
        stage_1('abcd')


@pytest.mark.parametrize('output', ['a.mp4', ['a.mp4'], Path('a.mp4')])
def test_no_file_is_written(stage_1, tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    with untrusted_callers(), pytest.raises(InputError, match="'output_video' is not allowed here"):
        stage_1([CONTENT] if isinstance(output, list) else CONTENT, output_video=output)
    assert list(tmp_path.iterdir()) == []


def test_videos(stage_2, tmp_path):
    path = tmp_path / 'a.mp4'
    stage_2(np.zeros((2, 32, 32, 3), np.uint8), output_video=str(path))
    content = path.read_bytes()
    with untrusted_callers():
        for given in (content, base64.b64encode(content).decode()):
            assert stage_2({'video_path': given, 'text': 'abcd'})['output_video'][4:8] == b'ftyp'
        with pytest.raises(InputError, match='not allowed here'):
            stage_2({'video_path': str(path), 'text': 'a cat'})


def test_a_pipeline_remembers_how_it_was_built(stage_2_folder):
    with untrusted_callers():
        pipe = build_2(stage_2_folder, steps=1)
    caught = []

    def attempt():
        assert not callers_are_untrusted()  # a plain thread has a context of its own
        try:
            pipe({'video_path': str(IMAGE)})
        except InputError as error:
            caught.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(caught) == 1


@pytest.mark.parametrize('ours_first', [True, False])
def test_the_command_turns_it_on(monkeypatch, ours_first):
    from modelscope.cli import server as modelscope_server

    seen = []
    monkeypatch.setattr(modelscope_server, 'run_server', lambda arguments: seen.append(callers_are_untrusted()))
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers()
    for command in sorted(
        [I2VCommand, modelscope_server.ServerCMD], key=lambda each: (each is I2VCommand) != ours_first
    ):
        command.register(subparsers)
    arguments = parser.parse_args(['server', '--model_id', 'a/b', '--revision', 'v1'])
    arguments._command(arguments).execute()
    assert seen == [True]
    assert not callers_are_untrusted()


@pytest.mark.slow
def test_a_real_server(golden_model, tmp_path):
    pytest.importorskip('fastapi')
    secret, written = tmp_path / 'secret.png', tmp_path / 'written.mp4'
    secret.write_bytes(CONTENT)
    with serving() as hub:
        hub.serve('damo/Image-to-Video', 'v1.1.0', golden_model)
        short = {'steps': 2, 'num_frames': 3}
        with server(hub, tmp_path, 'damo/Image-to-Video') as port:
            before = len(hub.requests)
            attempts = [
                {'input': {'image': BASE64}, 'parameters': {**short, 'output_video': str(written)}},
                {'input': {'image': str(secret)}, 'parameters': short},
                {'input': str(secret), 'parameters': short},
                {'input': {'image': secret.as_uri()}, 'parameters': short},
                {'input': {'image': f'{hub.endpoint}/a.png'}, 'parameters': short},
                {'input': f'{hub.endpoint}/a.png', 'parameters': short},
            ]
            for body in attempts:
                with pytest.raises(urllib.error.HTTPError) as caught:
                    call(port, **body)
                assert caught.value.code == 500  # as for every bad request: ModelScope decides that
                said = caught.value.read().decode()
                # ModelScope decodes some itself, and takes a path for base64.
                refusals = ('not allowed here', 'Incorrect padding', 'UnidentifiedImageError')
                assert any(words in said for words in refusals)
            assert not written.exists()
            assert len(hub.requests) == before
            assert call(port, input={'image': BASE64}, parameters=short)['output_video']

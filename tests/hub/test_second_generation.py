"""The second generation from a hub: what existing apps ask for."""

import json

import pytest

from tests.folders import IMAGE, variant
from tests.hub.client import python, run, snapshot
from tests.hub.server import serving

MODEL = 'damo/i2vgen-xl'

#: Like the app of the original's authors.
APP = """
import json, sys
import modelscope_i2v
from modelscope.outputs import OutputKeys
from modelscope.pipelines import pipeline

image, folder = sys.argv[1:]
pipe = pipeline('image-to-video', model='damo/i2vgen-xl', model_revision='v1.1.3', device='cpu')
video = pipe(image, caption='a fox', output_video=f'{folder}/app.mp4', seed=1)[OutputKeys.OUTPUT_VIDEO]
same = modelscope_i2v.load('damo/i2vgen-xl', 'v1.1.3', device='cpu', show_progress=False)
result = same(image, text='a fox', output_video=f'{folder}/load.mp4', seed=1)
print(json.dumps([type(pipe).__name__, type(same).__name__, video, result['model_revision']]))
"""


@pytest.fixture
def hub(i2vgen_folder, tmp_path):
    small = {'model.model_cfg.steps': 1, 'model.model_cfg.max_frames': 2}
    with serving() as hub:
        hub.serve(MODEL, 'v1.1.3', variant(i2vgen_folder, tmp_path / 'hub', small))
        yield hub


def test_an_app_gives_a_caption(hub, tmp_path):
    *types, video, revision = python(hub, tmp_path / 'cache', APP, IMAGE, tmp_path)
    assert types == ['I2VGenXLPipeline', 'I2VGenXLPipeline']
    assert (video, revision) == (f'{tmp_path}/app.mp4', 'v1.1.3')
    assert (tmp_path / 'app.mp4').read_bytes() == (tmp_path / 'load.mp4').read_bytes()


@pytest.mark.slow
def test_the_command_downloads_it_once(hub, tmp_path):
    words = ['-m', 'modelscope_i2v.cli.main', 'image-to-video', IMAGE, '--model', MODEL, '--model-revision', 'v1.1.3']
    more = ['--text', 'a fox', '--device', 'cpu', '--seed', 1, '--json', '-o', tmp_path / 'a.mp4']
    for offline in ([], ['--offline']):
        done = run(hub, tmp_path / 'cache', *words, *more, *offline)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['model_revision'] == 'v1.1.3'
    assert (snapshot(tmp_path, MODEL, 'v1.1.3') / 'configuration.json').is_file()


def test_no_weights_are_downloaded_for_a_call_that_it_cannot_take(hub, tmp_path):
    words = ['-m', 'modelscope_i2v.cli.main', 'image-to-video', IMAGE, '--model', MODEL, '--device', 'cpu']
    done = run(hub, tmp_path / 'cache', *words, '--model-revision', 'v1.1.3', '--height', 40, '-o', tmp_path / 'a.mp4')
    assert (done.returncode, "'height' must be a multiple of 16, found 40" in done.stderr) == (1, True)
    assert not [*(tmp_path / 'cache').rglob('unet.safetensors')]

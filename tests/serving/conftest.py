import io

import numpy as np
import pytest
from PIL import Image

from tests.media.clips import gradient
from tests.serving.server import serving


@pytest.fixture(scope='session')
def picture():
    """The bytes of a small PNG file."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file, 'PNG')
    return file.getvalue()


@pytest.fixture(scope='session')
def clip(tmp_path_factory):
    """The bytes of an MP4 file with three frames, 8 a second."""
    from modelscope_i2v.media import write_video

    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    write_video(gradient(3), path, fps=8)
    return path.read_bytes()


@pytest.fixture(scope='session')
def models(stage_1_folder, stage_2_folder):
    """Small models of both stages, as an engine serves them."""
    from modelscope_i2v.serving.models import ServedModel

    return [ServedModel.find(str(folder)) for folder in (stage_1_folder, stage_2_folder)]


@pytest.fixture(scope='session')
def server(stage_1_folder, stage_2_folder, tmp_path_factory):
    """The address of a server with the small models."""
    folder = tmp_path_factory.mktemp('server')
    models = ['--model', stage_1_folder, '--stage2-model', stage_2_folder]
    with serving(*models, '--max-queue', 4, results=folder / 'results', log=folder / 'log') as (address, _):
        yield address
    assert 'Traceback' not in (folder / 'log').read_text()

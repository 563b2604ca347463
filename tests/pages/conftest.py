import json
import os
import shutil
from pathlib import Path

import pytest

from tests.hub.server import serving

PAGES = Path(__file__).parents[2] / 'model_card'
#: Settings of the small models, small enough for a test.
SMALL = {
    'Image-to-Video': {'steps': 2, 'max_frames': 3},
    'Video-to-Video': {'steps': 2, 'solver': 'dpmpp_2m_sde', 'noise_level': 100},
    'I2VGen-XL': {'steps': 2, 'max_frames': 3},
}
#: The hub id and the revision of each page.
ON_THE_HUB = {
    'Image-to-Video': ('damo/Image-to-Video', 'v1.1.0'),
    'Video-to-Video': ('damo/Video-to-Video', 'v1.1.0'),
    'I2VGen-XL': ('damo/i2vgen-xl', 'v1.1.3'),
}


def publish(folder, name, small_model, *, as_before):
    """The page ``name``, with the weights and sizes of ``small_model``; ``as_before`` leaves out its code."""
    folder.mkdir(parents=True)
    page = json.loads((PAGES / name / 'configuration.json').read_text())
    small = json.loads((small_model / 'configuration.json').read_text())
    page['model']['model_cfg'] |= small['model']['model_cfg'] | SMALL[name]
    files = list(PAGES.joinpath(name).rglob('*'))
    if as_before:
        del page['allow_remote'], page['preprocessor']
        page['model']['model_args']['Seed'] = page['model']['model_args'].pop('seed')
        files = [PAGES / name / 'README.md']
    for file in files:
        target = folder / file.relative_to(PAGES / name)
        if file.is_file() and file.name != 'configuration.json':
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    for file in small_model.iterdir():
        if file.name != 'configuration.json':
            os.link(file, folder / file.name)  # gigabytes, if they were copied
    (folder / 'configuration.json').write_text(json.dumps(page))
    return folder


@pytest.fixture(scope='session')
def published(golden_model, golden_model_2, golden_model_i2vgen, tmp_path_factory):
    """All pages, from this repository and as they were before it: ``folder / 'page' or 'before' / name``."""
    folder = tmp_path_factory.mktemp('published')
    for name, model in zip(SMALL, (golden_model, golden_model_2, golden_model_i2vgen), strict=True):
        publish(folder / 'page' / name, name, model, as_before=False)
        publish(folder / 'before' / name, name, model, as_before=True)
    return folder


@pytest.fixture(scope='module', params=['page', pytest.param('before', marks=pytest.mark.slow)])
def hub(request, published):
    """A hub with all pages; ``hub.kind`` says which version."""
    with serving() as hub:
        hub.kind = request.param
        for name in SMALL:
            hub.serve(*ON_THE_HUB[name], published / request.param / name)
        yield hub


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('cache')

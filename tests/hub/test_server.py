"""The real client behaves with this hub as it does with the real one."""

from pathlib import Path

import pytest

from tests.hub.client import python
from tests.hub.server import Fault, serving

MODEL = 'damo/Image-to-Video'
DOWNLOAD = """
import json, sys
from modelscope.hub.snapshot_download import snapshot_download

for revision in sys.argv[2:]:
    try:
        found = {'folder': str(snapshot_download(sys.argv[1], revision=revision))}
    except Exception as error:
        found = {'error': f'{type(error).__name__}: {error}'}
print(json.dumps(found))
"""


@pytest.fixture
def hub(tmp_path):
    """Two revisions of a model of two files."""
    with serving() as hub:
        for revision in ('v1.0.0', 'v1.1.0'):
            folder = tmp_path / revision
            (folder / 'assets').mkdir(parents=True)
            (folder / 'configuration.json').write_text(f'{{"framework": "pytorch", "task": "{revision}"}}')
            (folder / 'assets' / 'unet.pth').write_bytes(revision.encode() * 400_000)
            hub.serve(MODEL, revision, folder)
        yield hub


@pytest.mark.slow
def test_every_revision_has_its_own_files(hub, tmp_path):
    cache = tmp_path / 'cache'
    found = python(hub, cache, DOWNLOAD, MODEL, 'v1.0.0', 'v1.1.0')
    snapshots = cache / 'models' / 'damo--Image-to-Video' / 'snapshots'
    assert found == {'folder': str(snapshots / 'v1.1.0')}
    for revision in ('v1.0.0', 'v1.1.0'):
        for name in ('configuration.json', 'assets/unet.pth'):
            assert (snapshots / revision / name).read_bytes() == (tmp_path / revision / name).read_bytes()
    assert sorted(hub.downloads()) == ['assets/unet.pth'] * 2 + ['configuration.json'] * 2


@pytest.mark.slow
def test_a_dropped_connection_goes_on_where_it_was(hub, tmp_path):
    hub.faults.append(Fault('drop', 'assets/unet.pth', times=1))
    found = python(hub, tmp_path / 'cache', DOWNLOAD, MODEL, 'v1.1.0')
    assert hub.downloads().count('assets/unet.pth') == 2
    assert Path(found['folder'], 'assets', 'unet.pth').read_bytes() == b'v1.1.0' * 400_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        (Fault('content', 'assets/unet.pth'), '1 of 2 file(s) failed'),
        (Fault('size', 'assets/unet.pth'), '1 of 2 file(s) failed'),
        (Fault('missing', 'assets/unet.pth'), '1 of 2 file(s) failed'),
    ],
    ids=lambda value: getattr(value, 'kind', ''),
)
def test_a_file_that_is_not_the_promised_one_is_not_kept(fault, message, hub, tmp_path):
    hub.faults.append(fault)
    found = python(hub, tmp_path / 'cache', DOWNLOAD, MODEL, 'v1.1.0')
    assert message in found['error']
    assert not list(tmp_path.joinpath('cache').rglob('unet.pth'))


def test_a_missing_revision_and_a_missing_model_are_told_apart(hub, tmp_path):
    missing = python(hub, tmp_path / 'cache', DOWNLOAD, MODEL, 'v9.9.9')
    assert 'the revision v9.9.9 not found' in missing['error']
    assert 'record not found' in python(hub, tmp_path / 'cache', DOWNLOAD, 'damo/nothing', 'v1.1.0')['error']

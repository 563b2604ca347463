"""Downloads that fail: nothing half-downloaded is ever loaded, and the next try resumes."""

import dataclasses
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hub.client import FETCH, MODEL, UNET, WEIGHTS, environment, fetch, python, snapshot
from tests.hub.server import Fault


@pytest.mark.slow
@pytest.mark.parametrize('damage', [b'{"framework": ', b'\xff\xfe\x00'])
def test_a_damaged_file_in_the_cache_is_noticed_and_replaced(damage, hub, tmp_path):
    """ModelScope's pipeline() leaves such files: it does not verify the first file of a page."""
    folder = snapshot(tmp_path)
    folder.mkdir(parents=True)
    (folder / 'configuration.json').write_bytes(damage)
    offline, online = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,offline', f'{MODEL},v1.1.0,')
    assert offline['error'] == 'ConfigurationError'
    assert 'folder' in online, online
    (folder / UNET).write_bytes((folder / UNET).read_bytes()[:-10])
    (offline,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,offline')
    assert 'changed: unet.pth. Run once without offline to repair it' in offline['message']
    hub.requests.clear()
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert hub.downloads() == [UNET]
    assert (folder / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()


@pytest.mark.parametrize(
    ('fault', 'message'),
    [
        (Fault('content', UNET), 'unet.pth: .*Hash mismatch'),
        (Fault('content', 'configuration.json'), 'configuration.json: .*Hash mismatch'),
        (Fault('size', UNET), 'unet.pth: .*the repository lists'),
        (Fault('missing', UNET), 'unet.pth: .*not found in revision v1.1.0'),
        (Fault('unlisted', UNET), "of 'damo/Image-to-Video' has no unet.pth, which its 'configuration.json' names"),
        (Fault('unlisted', 'configuration.json'), 'has no configuration.json. Use another revision'),
    ],
    ids=lambda value: f'{value.kind}-{value.file}' if isinstance(value, Fault) else '',
)
def test_nothing_half_downloaded_is_loaded(fault, message, hub, tmp_path):
    hub.faults.append(dataclasses.replace(fault))
    wanted = f'{MODEL},v1.1.0,'
    failed, offline = fetch(hub, tmp_path / 'cache', wanted, wanted + 'offline')
    assert failed['error'] == 'CheckpointError'
    assert re.search(message, failed['message']), failed
    assert offline['error'] == 'CheckpointError', offline
    hub.faults.clear()
    hub.requests.clear()
    (found,) = fetch(hub, tmp_path / 'cache', wanted)
    assert (Path(found['folder']) / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()
    assert len(hub.downloads()) == len(set(hub.downloads()))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['drop', 'error', 'slow'])
def test_what_passes_is_waited_for(kind, hub, tmp_path):
    hub.faults.append(Fault(kind, UNET, times=1, seconds=3))
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert hub.faults[0].times == 0
    assert hub.downloads().count(UNET) == (1 if kind == 'slow' else 2)
    assert found['seconds'] >= (3 if kind == 'slow' else 0)
    assert (Path(found['folder']) / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()


def test_a_hub_that_cannot_list_its_files_is_to_blame(hub, tmp_path):
    hub.faults.append(Fault('unlistable'))
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert found['error'] == 'CheckpointError'
    assert 'a problem with the hub: try again later' in found['message']
    assert 'Its revisions' not in found['message']


@pytest.mark.slow
def test_a_slow_download_goes_on_beyond_the_clients_limit(hub, tmp_path):
    """The limit is an hour per file, and 15 GB take longer on many lines; here it is two seconds."""
    hub.faults.append(Fault('trickle', UNET, seconds=4))
    limited = f"import os\nos.environ['MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT'] = '2'\n{FETCH}"
    (found,) = python(hub, tmp_path / 'cache', limited, f'{MODEL},v1.1.0,')
    assert 'folder' in found, found
    assert (Path(found['folder']) / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()


def test_what_the_hub_does_not_have_is_said(hub, tmp_path):
    revision, model = fetch(hub, tmp_path / 'cache', f'{MODEL},v9.9.9,', 'damo/nothing,v1.1.0,')
    assert "(revision 'v9.9.9') could not be downloaded" in revision['message']
    assert 'Its revisions are v1.0.0, v1.1.0.' in revision['message']
    assert "'damo/nothing' (revision 'v1.1.0') could not be downloaded" in model['message']


@pytest.mark.slow
def test_a_download_that_was_killed_goes_on_where_it_was(hub, tmp_path):
    hub.faults.append(Fault('slow', UNET, seconds=60))
    cache, wanted = tmp_path / 'cache', f'{MODEL},v1.1.0,'
    others = [name for name in WEIGHTS if name != UNET]
    command = [sys.executable, '-c', FETCH, wanted]
    process = subprocess.Popen(
        command, env=environment(hub, cache), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    staging = snapshot(tmp_path).parents[1]
    deadline = time.monotonic() + 60
    while UNET not in hub.downloads() or not all(list(staging.rglob(name)) for name in others):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    (offline,) = fetch(hub, cache, wanted + 'offline')
    assert offline['error'] == 'CheckpointError'
    hub.faults.clear()
    hub.requests.clear()
    (found,) = fetch(hub, cache, wanted)
    assert hub.downloads() == [UNET]
    for name in WEIGHTS:
        assert (Path(found['folder']) / name).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / name).read_bytes()


def test_a_place_that_cannot_be_written_is_said(hub, tmp_path):
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache' / 'models').write_text('a file')
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert found['error'] == 'OutputError'
    assert str(tmp_path / 'cache' / 'models') in found['message']


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_said(hub, tmp_path):
    """The client wraps most disk errors in its own, after five tries."""
    limit = (tmp_path / 'hub' / 'v1.1.0' / UNET).stat().st_size - 1
    limited = f'import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n{FETCH}'
    (found,) = python(hub, tmp_path / 'cache', limited, f'{MODEL},v1.1.0,')
    assert found['error'] == 'OutputError', found
    assert 'Check the free space' in found['message']
    assert not (snapshot(tmp_path) / 'configuration.json').exists()


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['drop', 'error'])
def test_what_does_not_pass_is_given_up_and_goes_on_later(kind, hub, tmp_path):
    """The client tries for half a minute; if the connection drops, it keeps the part that it received."""
    hub.faults.append(Fault(kind, UNET))
    wanted = f'{MODEL},v1.1.0,'
    failed, offline = fetch(hub, tmp_path / 'cache', wanted, wanted + 'offline')
    assert (failed['error'], offline['error']) == ('CheckpointError', 'CheckpointError')
    assert f'{UNET}: ' in failed['message']
    assert not (snapshot(tmp_path) / UNET).exists()
    part = next(tmp_path.joinpath('cache').rglob(f'{UNET}?*'), None)
    assert (part is not None and part.stat().st_size > 0) == (kind == 'drop')
    hub.faults.clear()
    (found,) = fetch(hub, tmp_path / 'cache', wanted)
    assert (Path(found['folder']) / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()

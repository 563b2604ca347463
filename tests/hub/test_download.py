"""What ``modelscope_i2v.load`` asks a hub for: only the files it needs, verified, once, and then nothing."""

import dataclasses
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.folders import variant
from tests.hub.client import python
from tests.hub.server import Fault, serving

MODEL, SECOND = 'damo/Image-to-Video', 'damo/Video-to-Video'
UNET, CLIP, AUTOENCODER = 'unet.pth', 'open_clip_pytorch_model.bin', 'v2-1_512-ema-pruned.ckpt'
WEIGHTS = sorted([UNET, CLIP, AUTOENCODER])

#: Fetches model, revision (or '') and offline (or '') of each argument; what came of each.
FETCH = """
import json, sys, time
from modelscope_i2v import ModelScopeI2VError
from modelscope_i2v.hub.download import fetch_snapshot

found = []
for argument in sys.argv[1:]:
    model, revision, offline = argument.split(',')
    start = time.monotonic()
    try:
        folder = str(fetch_snapshot(model, revision or None, offline=bool(offline)))
        found.append({'folder': folder, 'seconds': time.monotonic() - start})
    except ModelScopeI2VError as error:
        found.append({'error': type(error).__name__, 'message': str(error)})
print(json.dumps(found))
"""

GENERATE = """
import json, sys
import numpy as np
import modelscope_i2v
from modelscope_i2v.media.recipe import read_recipe

image, folder, *revisions = sys.argv[1:]
made = {}
for revision in revisions:
    pipeline = modelscope_i2v.load('damo/Image-to-Video', revision, device='cpu', show_progress=False)
    call = {'steps': 1, 'num_frames': 1, 'seed': 1}
    result = pipeline(image, output_video=f'{folder}/{revision}.mp4', **call)
    latents = pipeline(image, output_type='latent', **call)['output_video']
    recipe = read_recipe(result['output_video'])[0]
    made[revision] = [
        result['model_revision'], recipe['model'], recipe['revision'], float(latents.mean()), list(latents.shape)
    ]
print(json.dumps(made))
"""


def fetch(hub, cache, *wanted, timeout=300):
    return python(hub, cache, FETCH, *wanted, timeout=timeout)


def page(source, folder, changes=None):
    """A model's page on the hub: the model in ``source`` and what no task needs."""
    variant(source, folder, changes)
    (folder / 'README.md').write_text('# A page')
    (folder / 'samples').mkdir()
    (folder / 'samples' / 'demo.mp4').write_bytes(b'video' * 1000)
    return folder


@pytest.fixture
def hub(golden_model, tmp_path):
    """Two revisions of stage 1, which differ in size and in the UNet's weights."""
    import torch

    first = page(golden_model, tmp_path / 'hub' / 'v1.0.0', {'model.model_cfg.latent_wid': 8})
    weights = torch.load(first / UNET, weights_only=True)
    weights['state_dict']['out.2.bias'] += 1
    (first / UNET).unlink()
    torch.save(weights, first / UNET)
    with serving() as hub:
        hub.serve(MODEL, 'v1.0.0', first)
        hub.serve(MODEL, 'v1.1.0', page(golden_model, tmp_path / 'hub' / 'v1.1.0'))
        yield hub


def snapshot(tmp_path, model=MODEL, revision='v1.1.0'):
    return tmp_path / 'cache' / 'models' / model.replace('/', '--') / 'snapshots' / revision


def test_two_revisions_in_one_process_are_two_models(hub, tmp_path):
    image = Path(__file__).parents[1] / 'data' / 'images' / 'sq_448.png'
    made = python(hub, tmp_path / 'cache', GENERATE, image, tmp_path, 'v1.0.0', 'v1.1.0')
    assert [values[:3] for values in made.values()] == [[name, MODEL, name] for name in ('v1.0.0', 'v1.1.0')]
    assert [values[4] for values in made.values()] == [[1, 4, 1, 8, 8], [1, 4, 1, 8, 12]]
    assert abs(made['v1.0.0'][3] - made['v1.1.0'][3]) > 0.1


def test_only_what_a_task_needs_is_downloaded(hub, tmp_path):
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert found['folder'] == str(snapshot(tmp_path))
    first, *rest = hub.downloads()
    assert (first, sorted(rest)) == ('configuration.json', WEIGHTS)
    files = {path.name for path in Path(found['folder']).rglob('*') if path.is_file()}
    assert files == {*WEIGHTS, 'configuration.json', '.modelscope_i2v.json'}


def test_a_revision_that_is_there_costs_no_request(hub, tmp_path):
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    hub.requests.clear()
    found = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{MODEL},v1.1.0,offline', f'{MODEL},,offline')
    assert [item.get('folder') for item in found] == [str(snapshot(tmp_path))] * 3, found
    assert hub.requests == []


def test_without_a_revision_the_hub_is_asked_and_may_be_gone(golden_model, tmp_path):
    source = page(golden_model, tmp_path / 'hub' / 'master')
    with serving() as hub:
        hub.serve(MODEL, 'master', source)
        fetch(hub, tmp_path / 'cache', f'{MODEL},,')
        changed = json.loads((source / 'configuration.json').read_text())
        changed['model']['model_args']['seed'] = 77
        (source / 'configuration.json').unlink()
        (source / 'configuration.json').write_text(json.dumps(changed))
        hub.requests.clear()
        (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},,')
        folder = Path(found['folder'])
        assert json.loads((folder / 'configuration.json').read_text()) == changed
        assert hub.downloads() == ['configuration.json']
    found = fetch(hub, tmp_path / 'cache', f'{MODEL},,', f'{MODEL},,offline')
    assert [item['folder'] for item in found] == [str(folder)] * 2


def test_new_weights_of_a_branch_come_whole_or_not_at_all(golden_model, tmp_path):
    source = page(golden_model, tmp_path / 'hub' / 'master')
    folder = snapshot(tmp_path, revision='master')

    def push(name, content):
        (source / name).unlink()
        (source / name).write_bytes(content)

    with serving() as hub:
        hub.serve(MODEL, 'master', source)
        fetch(hub, tmp_path / 'cache', f'{MODEL},,')
        before = {name: (folder / name).read_bytes() for name in ('configuration.json', *WEIGHTS)}
        push('configuration.json', before['configuration.json'] + b'\n')
        push(UNET, before[UNET] + b'new')
        hub.faults.append(Fault('content', UNET))
        found = fetch(hub, tmp_path / 'cache', f'{MODEL},,', f'{MODEL},,offline')
        assert [item['folder'] for item in found] == [str(folder)] * 2
        assert {name: (folder / name).read_bytes() for name in before} == before
        hub.faults.clear()
        hub.requests.clear()
        fetch(hub, tmp_path / 'cache', f'{MODEL},,')
        assert sorted(hub.downloads()) == [UNET]
        assert (folder / UNET).read_bytes() == before[UNET] + b'new'
        assert (folder / 'configuration.json').read_bytes() == before['configuration.json'] + b'\n'


def test_processes_that_want_the_same_do_it_once(hub, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        wanted = f'{MODEL},v1.1.0,'
        found = list(pool.map(lambda _: fetch(hub, tmp_path / 'cache', wanted), range(3)))
    assert [item['folder'] for (item,) in found] == [str(snapshot(tmp_path))] * 3
    assert sorted(hub.downloads()) == sorted(['configuration.json', *WEIGHTS])


def test_a_cache_of_old_clients_spares_the_download(hub, golden_model, tmp_path):
    variant(golden_model, tmp_path / 'cache' / 'hub' / 'models' / 'damo' / 'Image-to-Video')
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert hub.downloads() == []


@pytest.mark.parametrize('revision', ['../../x', '/etc', 'a/../b'])
def test_what_can_be_no_revision_is_refused(revision, hub, tmp_path):
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},{revision},')
    assert found['error'] == 'InputError'
    assert hub.requests == []


def test_what_another_client_downloaded_is_offered_when_the_hub_is_gone(golden_model, tmp_path):
    variant(golden_model, snapshot(tmp_path))
    with serving() as hub:
        pass
    lost, found = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{MODEL},v1.1.0,offline')
    assert 'All its files are in the cache, not verified: offline=True (--offline) takes them.' in lost['message']
    assert found['folder'] == str(snapshot(tmp_path))


def test_offline_without_a_revision_several_have_to_be_told_apart(hub, tmp_path):
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.0.0,', f'{MODEL},v1.1.0,')
    unknown, missing, nothing = fetch(
        hub, tmp_path / 'cache', f'{MODEL},,offline', f'{MODEL},v9,offline', f'{SECOND},,offline'
    )
    assert "has no 'damo/Image-to-Video'. It has v1.0.0, v1.1.0: name one." in unknown['message']
    assert "has no revision 'v9' of 'damo/Image-to-Video'. It has v1.0.0, v1.1.0: name one." in missing['message']
    assert "has no 'damo/Video-to-Video'. Run once without offline" in nothing['message']


def test_what_both_stages_share_is_downloaded_once(hub, golden_model, golden_model_2, tmp_path):
    second = page(golden_model_2, tmp_path / 'hub' / 'second')
    for name in (CLIP, AUTOENCODER):
        (second / name).unlink()
        os.link(golden_model / name, second / name)
    hub.serve(SECOND, 'v1.1.0', second)
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{SECOND},v1.1.0,')
    assert sorted(hub.downloads()) == sorted(['configuration.json'] * 2 + [UNET] * 2 + [CLIP, AUTOENCODER])
    for name in (CLIP, AUTOENCODER):
        mine, other = (snapshot(tmp_path, model) / name for model in (MODEL, SECOND))
        assert mine.samefile(other)


def test_a_file_of_the_same_name_and_size_is_not_taken_for_the_same(hub, golden_model, golden_model_2, tmp_path):
    second = page(golden_model_2, tmp_path / 'hub' / 'second')
    content = bytearray((golden_model / AUTOENCODER).read_bytes())
    content[-1] ^= 1
    (second / AUTOENCODER).unlink()
    (second / AUTOENCODER).write_bytes(content)
    hub.serve(SECOND, 'v1.1.0', second)
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{SECOND},v1.1.0,')
    assert (snapshot(tmp_path) / AUTOENCODER).read_bytes() == (golden_model / AUTOENCODER).read_bytes()
    assert (snapshot(tmp_path, SECOND) / AUTOENCODER).read_bytes() == content


def test_a_cache_of_old_clients_is_not_taken_for_every_revision(hub, tmp_path):
    old = tmp_path / 'cache' / 'models' / 'damo' / 'Image-to-Video'
    old.mkdir(parents=True)
    (old / 'configuration.json').write_text('{}')
    found = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.0.0,', f'{MODEL},v1.1.0,')
    assert [Path(item['folder']).name for item in found] == ['v1.0.0', 'v1.1.0']
    assert (old / 'configuration.json').read_text() == '{}'


@pytest.mark.parametrize('damage', [b'{"framework": ', b'\xff\xfe\x00'])
def test_a_damaged_file_in_the_cache_is_noticed_and_replaced(damage, hub, tmp_path):
    """As ModelScope's pipeline() leaves them, which does not verify the first file of a page."""
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
        (Fault('unlisted', 'configuration.json'), 'has no configuration.json. Take another revision'),
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


@pytest.mark.parametrize('kind', ['drop', 'error', 'slow'])
def test_what_passes_is_waited_for(kind, hub, tmp_path):
    hub.faults.append(Fault(kind, UNET, times=1, seconds=3))
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert hub.faults[0].times == 0
    assert hub.downloads().count(UNET) == (1 if kind == 'slow' else 2)
    assert found['seconds'] >= (3 if kind == 'slow' else 0)
    assert (Path(found['folder']) / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()


def test_what_the_hub_does_not_have_is_said(hub, tmp_path):
    revision, model = fetch(hub, tmp_path / 'cache', f'{MODEL},v9.9.9,', 'damo/nothing,v1.1.0,')
    assert "(revision 'v9.9.9') could not be downloaded" in revision['message']
    assert 'Its revisions are v1.0.0, v1.1.0.' in revision['message']
    assert "'damo/nothing' (revision 'v1.1.0') could not be downloaded" in model['message']


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['drop', 'error'])
def test_what_does_not_pass_is_given_up_and_goes_on_later(kind, hub, tmp_path):
    """The client tries for half a minute; with a dropping connection it keeps what came."""
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

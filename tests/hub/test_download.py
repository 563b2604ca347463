"""``modelscope_i2v.load`` asks a hub only for the files it needs, verifies them, and asks only once."""

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.folders import variant
from tests.hub.client import AUTOENCODER, CLIP, FETCH, MODEL, SECOND, UNET, WEIGHTS, fetch, python, run, snapshot
from tests.hub.pages import other_autoencoder, other_unet, page
from tests.hub.server import Fault, serving

#: Runs every stage and revision in one process; the first argument says how to make the pipelines.
GENERATE = """
import json, sys
import numpy as np
import modelscope_i2v
from modelscope.pipelines import pipeline
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.media.reading.open import open_video

way, image, folder = sys.argv[1:]
gradient = np.linspace(0, 255, 32, dtype=np.uint8)
video = {'video_path': np.broadcast_to(gradient[None, :, None, None], (1, 32, 32, 3)), 'text': 'a gradient'}
stages = {
    'image-to-video': ('damo/Image-to-Video', image, {'steps': 1, 'num_frames': 1}),
    'video-to-video': ('damo/Video-to-Video', video, {'steps': 1, 'height': 48, 'width': 64}),
}
made = []
for task, (model, given, call) in stages.items():
    for revision in ('v1.0.0', 'v1.1.0'):
        options = {'device': 'cpu', 'show_progress': False}
        if way == 'load':
            run = modelscope_i2v.load(model, revision, **options)
        else:
            run = pipeline(task=task, model=model, model_revision=revision, **options)
        result = run(given, output_video=f'{folder}/{task}-{revision}.mp4', seed=1, **call)
        latents = run(given, output_type='latent', seed=1, **call)['output_video']
        recipe = read_recipe(result['output_video'])[-1]
        names = [result['model_revision'], recipe['model'], recipe['revision']]
        made.append({'names': names, 'shape': list(latents.shape), 'mean': float(latents.mean())})
print(json.dumps(made))
"""
#: Dies just before the configuration is moved into the snapshot.
KILLED = """
import os, signal
from pathlib import Path

replace = Path.replace
def replace_or_die(self, target):
    if Path(target).name == 'configuration.json' and 'snapshots' in Path(target).parts:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)
Path.replace = replace_or_die
"""


@pytest.mark.slow
@pytest.mark.parametrize('way', ['load', 'pipeline'])
def test_two_revisions_of_both_stages_in_one_process_are_four_models(way, hub, golden_model_2, tmp_path):
    for revision in ('v1.0.0', 'v1.1.0'):
        hub.serve(SECOND, revision, page(golden_model_2, tmp_path / 'hub' / f'second-{revision}'))
    other_unet(tmp_path / 'hub' / 'second-v1.0.0')
    image = Path(__file__).parents[1] / 'data' / 'images' / 'sq_448.png'
    made = python(hub, tmp_path / 'cache', GENERATE, way, image, tmp_path)
    expected = [[name, model, name] for model in (MODEL, SECOND) for name in ('v1.0.0', 'v1.1.0')]
    assert [entry['names'] for entry in made] == expected
    assert [entry['shape'] for entry in made[:2]] == [[1, 4, 1, 8, 8], [1, 4, 1, 8, 12]]
    assert abs(made[0]['mean'] - made[1]['mean']) > 0.1
    assert made[2]['shape'] == made[3]['shape']
    assert abs(made[2]['mean'] - made[3]['mean']) > 0.01


def test_load_gets_no_weights_for_what_the_model_does_not_take(hub, tmp_path):
    code = """
import json
import modelscope_i2v

found = []
for options in ({'dtype': 'fp8'}, {'attention': 'flash'}, {'height': 250}, {'stepps': 3}, {'lora': 'none.safetensors'}):
    try:
        modelscope_i2v.load('damo/Image-to-Video', 'v1.1.0', device='cpu', **options)
    except (modelscope_i2v.ModelScopeI2VError, TypeError) as error:
        found.append(str(error))
print(json.dumps(found))
"""
    found = python(hub, tmp_path / 'cache', code)
    for text, said in zip(
        found, ["'dtype'", "'attention'", "'height'", "Did you mean 'steps'", 'none.safetensors'], strict=True
    ):
        assert said in text
    assert set(hub.downloads()) == {'configuration.json'}


@pytest.mark.slow
def test_what_load_downloaded_modelscopes_own_pipeline_finds(hub, tmp_path):
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    hub.requests.clear()
    code = """
import json
import modelscope_i2v
from modelscope.pipelines import pipeline

made = pipeline('image-to-video', model='damo/Image-to-Video', model_revision='v1.1.0', device='cpu')
print(json.dumps(made.model.model_dir))
"""
    assert python(hub, tmp_path / 'cache', code) == str(snapshot(tmp_path))
    assert not {*WEIGHTS, 'configuration.json'} & set(hub.downloads())


@pytest.mark.slow
def test_branches_of_any_name_are_updated(golden_model, tmp_path):
    source = page(golden_model, tmp_path / 'hub' / 'dev')
    with serving() as hub:
        hub.serve(MODEL, 'dev', source, branch=True)
        fetch(hub, tmp_path / 'cache', f'{MODEL},dev,')
        other_unet(source)
        hub.requests.clear()
        (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},dev,')
        assert hub.downloads() == [UNET]
    assert (Path(found['folder']) / UNET).read_bytes() == (source / UNET).read_bytes()
    (gone,) = fetch(hub, tmp_path / 'cache', f'{MODEL},dev,')
    assert gone['folder'] == found['folder']
    assert "Could not update 'damo/Image-to-Video' from the hub" in gone['warnings'][0]


@pytest.mark.slow
def test_branches_may_have_slashes(golden_model, tmp_path):
    with serving() as hub:
        hub.serve(MODEL, 'feature/wide', page(golden_model, tmp_path / 'hub' / 'wide'), branch=True)
        found = fetch(
            hub, tmp_path / 'cache', f'{MODEL},feature/wide,', f'{MODEL},feature/wide,offline', f'{MODEL},,offline'
        )
    assert [item['folder'] for item in found] == [str(snapshot(tmp_path, revision='feature/wide'))] * 3


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_processes_that_want_the_same_do_it_once(hub, tmp_path):
    hub.faults.append(Fault('slow', UNET, times=1, seconds=8))
    with ThreadPoolExecutor(3) as pool:
        wanted = f'{MODEL},v1.1.0,'
        found = list(pool.map(lambda _: fetch(hub, tmp_path / 'cache', wanted), range(3)))
    assert [item['folder'] for (item,) in found] == [str(snapshot(tmp_path))] * 3
    assert any('Another process is downloading' in text for (item,) in found for text in item['warnings'])
    assert sorted(hub.downloads()) == sorted(['configuration.json', *WEIGHTS])


@pytest.mark.slow
def test_a_cache_of_old_clients_spares_the_download(hub, golden_model, tmp_path):
    variant(golden_model, tmp_path / 'cache' / 'hub' / 'models' / 'damo' / 'Image-to-Video')
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert hub.downloads() == []


@pytest.mark.slow
@pytest.mark.parametrize('revision', ['../../x', '/etc', 'a/../b'])
def test_what_can_be_no_revision_is_refused(revision, hub, tmp_path):
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},{revision},')
    assert found['error'] == 'InputError'
    assert hub.requests == []


@pytest.mark.slow
def test_what_another_client_downloaded_is_used_when_the_hub_is_gone(hub, golden_model, tmp_path):
    download = """
import json
from modelscope import snapshot_download

print(json.dumps(snapshot_download('damo/Image-to-Video', revision='v1.1.0')))
"""
    folder = python(hub, tmp_path / 'cache', download)
    with serving() as gone:
        pass
    found, offline, default = fetch(
        gone, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{MODEL},v1.1.0,offline', f'{MODEL},,'
    )
    assert [found['folder'], offline['folder']] == [folder, folder]
    assert 'could not be verified' in found['warnings'][0]
    assert "The cache has revision 'v1.1.0': ask for that revision." in default['message']
    (Path(folder) / UNET).unlink()
    (found,) = fetch(gone, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert found['error'] == 'CheckpointError'


def test_what_another_client_downloaded_is_not_used_if_the_hub_has_something_else(hub, tmp_path):
    shutil.copytree(tmp_path / 'hub' / 'v1.0.0', snapshot(tmp_path))
    hub.faults.append(Fault('content', UNET))
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert found['error'] == 'CheckpointError'
    assert 'offline=True (--offline) uses them' in found['message']


@pytest.mark.slow
def test_what_another_client_downloaded_is_used_where_nothing_can_be_written(hub, tmp_path):
    folder = snapshot(tmp_path)
    shutil.copytree(tmp_path / 'hub' / 'v1.1.0', folder)
    (folder.parents[1] / '.modelscope_i2v').write_text('where downloads would go')
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    assert found['folder'] == str(folder)
    assert 'could not be verified' in found['warnings'][0]


@pytest.mark.slow
def test_what_another_client_downloaded_is_not_mixed_with_what_the_hub_has(hub, tmp_path):
    """Killed between moving the first file into place and the last."""
    folder = snapshot(tmp_path)
    shutil.copytree(tmp_path / 'hub' / 'v1.0.0', folder)
    wanted = f'{MODEL},v1.1.0,'
    assert run(hub, tmp_path / 'cache', '-c', KILLED + FETCH, wanted).returncode == -signal.SIGKILL
    assert (folder / UNET).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / UNET).read_bytes()
    (offline,) = fetch(hub, tmp_path / 'cache', wanted + 'offline')
    assert 'does not match the hub; changed: ' in offline['message']
    (found,) = fetch(hub, tmp_path / 'cache', wanted)
    assert found['folder'] == str(folder)
    for name in ('configuration.json', *WEIGHTS):
        assert (folder / name).read_bytes() == (tmp_path / 'hub' / 'v1.1.0' / name).read_bytes()


@pytest.mark.slow
def test_a_copied_cache_is_hashed_once_and_used(hub, tmp_path):
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,')
    hub.requests.clear()
    shutil.copytree(tmp_path / 'cache', tmp_path / 'copy' / 'cache', copy_function=shutil.copyfile)
    wanted = f'{MODEL},v1.1.0,'
    first, second, online = fetch(hub, tmp_path / 'copy' / 'cache', wanted + 'offline', wanted + 'offline', wanted)
    folder = snapshot(tmp_path / 'copy')
    assert [item['folder'] for item in (first, second, online)] == [str(folder)] * 3
    assert [len(item['warnings']) for item in (first, second, online)] == [3, 0, 0]
    assert 'hashing it again' in first['warnings'][0]
    assert hub.requests == []
    content = bytearray((folder / UNET).read_bytes())
    content[-1] ^= 1
    (folder / UNET).write_bytes(content)
    (found,) = fetch(hub, tmp_path / 'copy' / 'cache', wanted + 'offline')
    assert f'changed: {UNET}. Run once without offline' in found['message']


def test_half_a_snapshot_is_named(hub, tmp_path):
    folder = snapshot(tmp_path)
    shutil.copytree(tmp_path / 'hub' / 'v1.1.0', folder)
    for name in (CLIP, AUTOENCODER):
        (folder / name).unlink()
    (found,) = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,offline')
    assert f'missing: {CLIP}, {AUTOENCODER}. Run once without offline' in found['message']


@pytest.mark.slow
def test_the_same_file_under_another_name_is_downloaded_once(hub, golden_model_2, tmp_path):
    second = page(golden_model_2, tmp_path / 'hub' / 'second')
    configuration = json.loads((second / 'configuration.json').read_text())
    configuration['model']['model_args']['ckpt_autoencoder'] = 'vae.ckpt'
    (second / 'configuration.json').unlink()
    (second / 'configuration.json').write_text(json.dumps(configuration))
    (second / AUTOENCODER).unlink()
    os.link(tmp_path / 'hub' / 'v1.1.0' / AUTOENCODER, second / 'vae.ckpt')
    hub.serve(SECOND, 'v1.1.0', second)
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{SECOND},v1.1.0,')
    assert 'vae.ckpt' not in hub.downloads()
    assert (snapshot(tmp_path, SECOND) / 'vae.ckpt').samefile(snapshot(tmp_path) / AUTOENCODER)


@pytest.mark.slow
def test_offline_without_a_revision_several_have_to_be_told_apart(hub, tmp_path):
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.0.0,', f'{MODEL},v1.1.0,')
    unknown, missing, nothing = fetch(
        hub, tmp_path / 'cache', f'{MODEL},,offline', f'{MODEL},v9,offline', f'{SECOND},,offline'
    )
    assert "has no 'damo/Image-to-Video'. It has v1.0.0, v1.1.0: choose one." in unknown['message']
    assert "has no revision 'v9' of 'damo/Image-to-Video'. It has v1.0.0, v1.1.0: choose one." in missing['message']
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


@pytest.mark.slow
def test_a_file_of_the_same_name_and_size_is_not_taken_for_the_same(hub, golden_model, golden_model_2, tmp_path):
    second = page(golden_model_2, tmp_path / 'hub' / 'second')
    content = other_autoencoder(golden_model, second)
    hub.serve(SECOND, 'v1.1.0', second)
    fetch(hub, tmp_path / 'cache', f'{MODEL},v1.1.0,', f'{SECOND},v1.1.0,')
    assert (snapshot(tmp_path) / AUTOENCODER).read_bytes() == (golden_model / AUTOENCODER).read_bytes()
    assert (snapshot(tmp_path, SECOND) / AUTOENCODER).read_bytes() == content


@pytest.mark.slow
def test_of_several_files_of_one_name_and_size_the_right_one_is_taken(hub, golden_model, golden_model_2, tmp_path):
    """The UNets of two revisions have the same size; the verified hashes say which is which."""
    other = page(golden_model_2, tmp_path / 'hub' / 'other')
    other_autoencoder(golden_model, other)
    last = page(golden_model_2, tmp_path / 'hub' / 'last')
    (last / AUTOENCODER).unlink()
    os.link(golden_model / AUTOENCODER, last / AUTOENCODER)
    hub.serve('damo/A', 'v1', other)
    hub.serve('damo/Z', 'v1', last)
    fetch(hub, tmp_path / 'cache', 'damo/A,v1,', f'{MODEL},v1.1.0,')
    hub.requests.clear()
    fetch(hub, tmp_path / 'cache', 'damo/Z,v1,')
    assert AUTOENCODER not in hub.downloads()
    assert (snapshot(tmp_path, 'damo/Z', 'v1') / AUTOENCODER).samefile(snapshot(tmp_path) / AUTOENCODER)


@pytest.mark.slow
def test_a_cache_of_old_clients_is_not_taken_for_every_revision(hub, tmp_path):
    old = tmp_path / 'cache' / 'models' / 'damo' / 'Image-to-Video'
    old.mkdir(parents=True)
    (old / 'configuration.json').write_text('{}')
    found = fetch(hub, tmp_path / 'cache', f'{MODEL},v1.0.0,', f'{MODEL},v1.1.0,')
    assert [Path(item['folder']).name for item in found] == ['v1.0.0', 'v1.1.0']
    assert (old / 'configuration.json').read_text() == '{}'

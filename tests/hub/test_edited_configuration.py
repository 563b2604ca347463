"""Users may edit a configuration, as the model page says about the seed; weights must match the hub."""

import json

import pytest

from tests.hub.client import MODEL, UNET, fetch, python, snapshot
from tests.hub.pages import page
from tests.hub.server import serving

RUN = """
import json, sys
import modelscope_i2v

model, revision, image, *offline = sys.argv[1:]
made = modelscope_i2v.load(
    model, revision or None, device='cpu', offline=bool(offline), show_progress=False, steps=1, num_frames=1
)
print(json.dumps(made(image, output_type='np')['seed']))
"""


def edit(folder, seed):
    """Set ``Seed`` in ``model_args``, as the page tells users to."""
    file = folder / 'configuration.json'
    content = json.loads(file.read_text())
    content['model']['model_args']['Seed'] = seed
    file.write_text(json.dumps(content))


@pytest.mark.slow
def test_an_edited_seed_works_offline_and_online(hub, tmp_path):
    from tests.folders import IMAGE

    cache, wanted = tmp_path / 'cache', f'{MODEL},v1.1.0,'
    fetch(hub, cache, wanted)
    before = (snapshot(tmp_path) / 'configuration.json').stat().st_size
    edit(snapshot(tmp_path), 1234)
    assert (snapshot(tmp_path) / 'configuration.json').stat().st_size != before
    hub.requests.clear()
    assert python(hub, cache, RUN, MODEL, 'v1.1.0', IMAGE) == 1234
    assert hub.requests == []
    (offline,) = fetch(hub, cache, wanted + 'offline')
    assert offline['folder'] == str(snapshot(tmp_path))
    assert len([text for text in offline['warnings'] if 'was edited since it was downloaded' in text]) == 1
    unet = snapshot(tmp_path) / UNET
    content = unet.read_bytes()
    unet.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (offline,) = fetch(hub, cache, wanted + 'offline')
    assert f'changed: {UNET}' in offline['message']
    fetch(hub, cache, wanted)
    assert hub.downloads() == [UNET]
    assert json.loads((snapshot(tmp_path) / 'configuration.json').read_text())['model']['model_args']['Seed'] == 1234


@pytest.mark.slow
def test_an_edited_branch_is_kept_until_the_hub_has_something_new(golden_model, tmp_path):
    source = page(golden_model, tmp_path / 'hub' / 'master')
    folder, cache, wanted = snapshot(tmp_path, revision='master'), tmp_path / 'cache', f'{MODEL},,'
    with serving() as hub:
        hub.serve(MODEL, 'master', source)
        fetch(hub, cache, wanted)
        edit(folder, 77)
        for _ in range(2):
            (found,) = fetch(hub, cache, wanted)
            assert json.loads((folder / 'configuration.json').read_text())['model']['model_args']['Seed'] == 77
            assert not list(folder.glob('configuration.edited*'))
            assert len(found['warnings']) == 1
            assert 'was edited since it was downloaded' in found['warnings'][0]
        new = json.loads((source / 'configuration.json').read_text())
        new['model']['model_cfg']['steps'] = 7
        (source / 'configuration.json').unlink()
        (source / 'configuration.json').write_text(json.dumps(new))
        (found,) = fetch(hub, cache, wanted)
        assert "yours is kept as 'configuration.edited-1.json'" in ''.join(found['warnings'])
        assert json.loads((folder / 'configuration.json').read_text()) == new
        kept = json.loads((folder / 'configuration.edited-1.json').read_text())
        assert kept['model']['model_args']['Seed'] == 77


@pytest.mark.slow
def test_an_edit_that_keeps_the_size_is_said_once_too(hub, tmp_path):
    cache, wanted = tmp_path / 'cache', f'{MODEL},v1.1.0,'
    fetch(hub, cache, wanted)
    file = snapshot(tmp_path) / 'configuration.json'
    text = file.read_text()
    file.write_text(text.replace('"max_frames": 5', '"max_frames": 4'))
    assert file.stat().st_size == len(text)
    for found in fetch(hub, cache, wanted, wanted + 'offline'):
        assert [message.partition(' was ')[2] for message in found['warnings']] == [
            'edited since it was downloaded; using the edited version.'
        ]


@pytest.mark.slow
def test_a_typing_error_in_an_edited_configuration_is_said(hub, tmp_path):
    cache, wanted = tmp_path / 'cache', f'{MODEL},v1.1.0,'
    fetch(hub, cache, wanted)
    edit(snapshot(tmp_path), 'many')
    for way in ('', 'offline'):
        (found,) = fetch(hub, cache, wanted + way)
        assert found['error'] == 'ConfigurationError'
        assert "'seed' must be a whole number" in found['message']
    file = snapshot(tmp_path) / 'configuration.json'
    slip = file.read_text()[:-20]
    file.write_text(slip)
    (found,) = fetch(hub, cache, wanted)
    assert "yours is kept as 'configuration.edited-1.json'" in ''.join(found['warnings'])
    assert 'Seed' not in json.loads(file.read_text())['model']['model_args']
    assert file.with_name('configuration.edited-1.json').read_text() == slip

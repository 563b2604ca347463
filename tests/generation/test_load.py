"""Loading a pipeline from a folder or a hub id, and everything that can be wrong with a folder."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import modelscope_i2v
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError
from tests.calls import build, latents_of
from tests.folders import ABSENT, IMAGE, run_python, variant

SMALL = {'device': 'cpu', 'show_progress': False, 'steps': 1, 'num_frames': 1}


def load(folder, **options):
    return modelscope_i2v.load(folder, **{**SMALL, **options})


@pytest.mark.parametrize('as_type', [str, lambda folder: folder])
def test_load_is_the_pipeline(stage_1_folder, stage_1, as_type):
    made = load(as_type(stage_1_folder), num_frames=3, steps=2)
    assert type(made) is modelscope_i2v.ImageToVideoPipeline
    assert torch.equal(latents_of(made, seed=1), latents_of(stage_1, seed=1))


def test_an_apple_gpu_passes_modelscopes_own_check(stage_1, monkeypatch):
    """ModelScope does not know 'mps'. The model is already built, so this needs no Apple GPU."""
    from modelscope.pipelines import pipeline

    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    made = pipeline('image-to-video', model=stage_1.model, device='mps')
    assert type(made) is modelscope_i2v.ImageToVideoPipeline


# configuration.json


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('{"task": ', 'is not valid JSON: Expecting value'),
        ('', 'is not valid JSON'),
        ('{"task": NaN}', 'is not valid JSON: NaN is not a valid JSON number'),
        ('[' * 100_000, 'is not valid JSON'),
        ('[]', 'must hold a JSON object, found a list'),
        ('"text"', 'must hold a JSON object, found a str'),
        ('null', 'must hold a JSON object, found a NoneType'),
        ('{"task": "é"}'.encode('latin-1'), 'is not valid JSON'),
        (b'\x00\x01\x02', 'is not valid JSON'),
    ],
)
def test_broken_configuration(stage_1_folder, tmp_path, text, said):
    folder = variant(stage_1_folder, tmp_path / 'model', text=text)
    with pytest.raises(ConfigurationError) as caught:
        load(folder)
    assert str(folder / 'configuration.json') in str(caught.value)
    assert said in str(caught.value)


#: Place in the file, wrong value, what is allowed there.
WRONG = [
    ('framework', ABSENT, "must be 'pytorch', found None"),
    ('framework', 'tensorflow', "must be 'pytorch', found 'tensorflow'"),
    ('task', ABSENT, "must be one of 'image-to-video', 'video-to-video', found None"),
    ('task', 'image-to-vide', "found 'image-to-vide'. Did you mean 'image-to-video'"),
    ('task', ['image-to-video'], "must be one of 'image-to-video', 'video-to-video', found ['image-to-video']"),
    ('model', ABSENT, "'model.type' in"),
    ('model', [], "'model.type' in"),
    ('model', 'x', "'model.type' in"),
    ('model.type', ABSENT, "must be 'image-to-video-model' or 'i2vgen-xl-model', found None"),
    ('model.type', 'video-to-video-model', "or 'i2vgen-xl-model', found 'video-to-video-model'"),
    ('pipeline', ABSENT, "'pipeline.type' in"),
    ('pipeline', 'x', "'pipeline.type' in"),
    ('pipeline.type', None, "must be 'image-to-video-task-pipeline', found None"),
    ('pipeline.type', 'mine', "must be 'image-to-video-task-pipeline', found 'mine'"),
]


@pytest.mark.parametrize(('place', 'value', 'said'), WRONG)
def test_wrong_names(stage_1_folder, tmp_path, place, value, said):
    folder = variant(stage_1_folder, tmp_path / 'model', {place: value})
    with pytest.raises(ConfigurationError) as caught:
        load(folder)
    assert str(folder / 'configuration.json') in str(caught.value)
    assert f"'{place}" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    # ModelScope itself complains about the others before it calls us.
    ('place', 'value', 'said'),
    [case for case in WRONG if not case[0].startswith('pipeline') and case[:2] != ('framework', ABSENT)],
)
def test_wrong_names_through_pipeline(stage_1_folder, tmp_path, place, value, said):
    folder = variant(stage_1_folder, tmp_path / 'model', {place: value})
    with pytest.raises(ConfigurationError) as caught:
        build(folder)
    assert f"'{place}" in str(caught.value)
    assert str(folder / 'configuration.json') in str(caught.value)


@pytest.mark.parametrize('section', [ABSENT, 'x', {'type': 'another'}])
def test_the_preprocessors_section_does_not_matter(stage_1_folder, tmp_path, section):
    made = load(variant(stage_1_folder, tmp_path / 'model', {'preprocessor': section}))
    assert type(made.preprocessor) is modelscope_i2v.ImageToVideoPreprocessor


def test_folders_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').write_text('{}')
    for name in (tmp_path / 'missing', './missing', '../missing', '~/missing', 'missing', 'a/b/c', 'file', 'a/'):
        with pytest.raises(ConfigurationError, match='There is no model folder') as caught:
            load(name)
        assert str(name) in str(caught.value)
    with pytest.raises(ConfigurationError, match='cannot be found.*Name a folder or a hub id'):
        load('x' * 300)
    for name in ('empty', tmp_path / 'empty'):
        with pytest.raises(
            ConfigurationError, match=r"'.*empty' has no configuration\.json, so it is not a ModelScope"
        ):
            load(name)
    for name in (None, 3, b'a/b'):
        with pytest.raises(InputError, match="'model' must be a folder or a hub id"):
            load(name)


def test_wrong_arguments_of_load(stage_1_folder):
    with pytest.raises(TypeError, match="'step' of load.*Did you mean 'steps'"):
        load(stage_1_folder, step=3)
    with pytest.raises(InputError, match="'steps'"):
        load(stage_1_folder, steps=0)


# Weights


@pytest.fixture
def weights(stage_1_folder):
    return load_file(stage_1_folder / 'unet.safetensors')


def with_unet(stage_1_folder, folder, name, write):
    """A model whose UNet is in the file ``name``, made by ``write(path)`` (None: no such file)."""
    variant(stage_1_folder, folder, {'model.model_args.ckpt_unet': name})
    (folder / 'unet.safetensors').unlink()
    if write is not None:
        write(folder / name)
    return folder


WRITERS = {
    'unet.safetensors': save_file,
    'unet.pth': torch.save,
    'unet.ckpt': lambda weights, path: torch.save({'state_dict': weights, 'epoch': 1}, path),
    'unet.bin': lambda weights, path: torch.save(weights, path, _use_new_zipfile_serialization=False),
}


@pytest.mark.parametrize('name', WRITERS)
def test_every_format_gives_the_same_video(stage_1_folder, stage_1, tmp_path, weights, name):
    folder = with_unet(stage_1_folder, tmp_path / 'm', name, lambda path: WRITERS[name](weights, path))
    assert torch.equal(latents_of(build(folder, steps=2, num_frames=3), seed=1), latents_of(stage_1, seed=1))


def assert_refused(folder, *parts):
    with pytest.raises(CheckpointError) as caught:
        build(folder)
    assert type(caught.value) is CheckpointError
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize('name', WRITERS)
@pytest.mark.parametrize('kept', [0, 7, 0.1, 0.5, 0.99])
def test_missing_bytes(stage_1_folder, tmp_path, weights, name, kept):
    def write(path):
        WRITERS[name](weights, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])

    folder = with_unet(stage_1_folder, tmp_path / 'm', name, write)
    assert_refused(folder, str(folder / name))


def test_missing_file(stage_1_folder, tmp_path):
    folder = with_unet(stage_1_folder, tmp_path / 'm', 'unet.pth', None)
    assert_refused(folder, f'weight file {folder / "unet.pth"} does not exist', 'Check the name in configuration.json')


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda w: w.pop('conv_in.weight'), '1 missing: conv_in.weight.'),
        (lambda w: w.update({'extra.weight': torch.ones(1)}), '1 unexpected: extra.weight.'),
        (
            lambda w: w.update({'conv_in.weight': torch.ones(64, 5, 3, 3)}),
            '1 with the wrong shape: conv_in.weight is [64, 5, 3, 3], not [64, 4, 3, 3].',
        ),
    ],
)
def test_keys_that_do_not_fit(stage_1_folder, tmp_path, weights, change, said):
    change(weights)
    folder = with_unet(stage_1_folder, tmp_path / 'm', 'unet.safetensors', lambda path: save_file(weights, path))
    assert_refused(folder, str(folder / 'unet.safetensors'), 'do not fit ImageToVideoUNet', said)


def test_weights_of_another_size_and_of_another_network(stage_1_folder, tmp_path):
    wider = variant(stage_1_folder, tmp_path / 'a', {'model.model_cfg.unet.model_channels': 96})
    assert_refused(wider, str(wider / 'unet.safetensors'), 'with the wrong shape', 'conv_in.weight is [64, 4, 3, 3]')
    swapped = {'model.model_args.ckpt_unet': 'autoencoder.safetensors'}
    swapped = variant(stage_1_folder, tmp_path / 'b', swapped)
    assert_refused(
        swapped, str(swapped / 'autoencoder.safetensors'), 'missing', 'unexpected', 'the one for this network'
    )


# ModelScope's own temporary file goes missing when it cannot parse JSON.
@pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')
def test_a_good_load_after_failed_ones(stage_1_folder, stage_1, tmp_path):
    no_file = with_unet(stage_1_folder, tmp_path / 'a', 'unet.pth', None)
    no_json = variant(stage_1_folder, tmp_path / 'b', text='{')
    for folder, door in ((no_file, build), (no_json, load), (no_json, build)):
        with pytest.raises(Exception):  # noqa: B017  the type is tested above
            door(folder)
    assert torch.equal(latents_of(load(stage_1_folder, steps=2, num_frames=3), seed=1), latents_of(stage_1, seed=1))


# The network


OFFLINE = """
import socket, sys, time
asked = []
def refuse(*arguments, **options):
    asked.append(arguments)  # ModelScope continues after an exception
    raise OSError('no network here')
socket.socket.connect = socket.getaddrinfo = refuse
image = sys.argv[1]
import modelscope_i2v
made = modelscope_i2v.load('owner/name', device='cpu', show_progress=False)
assert made(image, steps=1, num_frames=1, output_type='np')['output_video'].shape == (1, 64, 64, 3)
start = time.monotonic()
for revision in (None, 'v1.1.0'):
    try:
        modelscope_i2v.load('other/name', revision, offline=True)
    except modelscope_i2v.CheckpointError as error:
        wanted = "'other/name'" if revision is None else "revision 'v1.1.0' of 'other/name'"
        assert f"has no {wanted}. Run once without offline to download it." in str(error), error
    else:
        raise AssertionError('loaded a model that does not exist')
assert time.monotonic() - start < 5
made = modelscope_i2v.load('cached/name', 'v1.1.0', offline=True, device='cpu', show_progress=False)
assert made.model_revision == 'v1.1.0' and made.model_name == 'cached/name'
assert asked == []
"""


def test_folders_and_caches_need_no_network(stage_1_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variant(stage_1_folder, tmp_path / 'owner' / 'name')
    variant(stage_1_folder, tmp_path / 'cache' / 'models' / 'cached--name' / 'snapshots' / 'v1.1.0')
    run_python(OFFLINE, IMAGE, MODELSCOPE_CACHE=str(tmp_path / 'cache'))


# The embedded model


@pytest.mark.parametrize('task', ['image-to-video', 'video-to-video'])
def test_embedded_models_are_ordinary_folders_of_the_package(task):
    folder = Path(modelscope_i2v.embedded_model(task))
    assert folder.is_relative_to(Path(modelscope_i2v.__file__).parent)
    assert json.loads((folder / 'configuration.json').read_text())['task'] == task
    assert load(folder, device='cpu', show_progress=False).stage.task == task


def test_the_embedded_models_are_small():
    folders = [Path(modelscope_i2v.embedded_model(task)) for task in ('image-to-video', 'video-to-video')]
    assert sum(file.stat().st_size for folder in folders for file in folder.iterdir()) <= 39_000_000


def test_more_steps_than_the_embedded_model_was_trained_for_warn(tmp_path, caplog):
    model = load(modelscope_i2v.embedded_model(), device='cpu', show_progress=False)
    call = {'num_frames': 1, 'height': 32, 'width': 32, 'output_type': 'latent'}
    model(str(IMAGE), **call)
    assert not caplog.records
    model(str(IMAGE), steps=2, **call)
    (record,) = caplog.records
    said = "trained for 'steps' up to 1, found 2. The video will be worse: leave 'steps' out."
    assert said in record.getMessage()


def test_the_checkout_itself_is_a_model():
    root = Path(modelscope_i2v.__file__).parents[1]
    if not (root / 'configuration.json').exists():
        pytest.skip('installed, not a checkout')
    found, own = load(root, device='cpu', show_progress=False), load(modelscope_i2v.embedded_model(), device='cpu')
    assert found.model.configuration == own.model.configuration
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), own.model.parameters(), strict=True))


def test_embedded_model_refuses():
    with pytest.raises(InputError, match="'task' must be one of 'image-to-video'.*Did you mean 'image-to-video'"):
        modelscope_i2v.embedded_model('image-to-vide')


def test_a_page_with_code_of_its_own_is_loaded_without_running_it(stage_1_folder, tmp_path):
    folder = variant(stage_1_folder, tmp_path / 'page', {'allow_remote': True, 'plugins': ['modelscope_i2v']})
    (folder / 'ms_wrapper.py').write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    assert type(load(folder, device='cpu', show_progress=False)).__name__ == 'ImageToVideoPipeline'
    assert not (tmp_path / 'executed').exists()


def test_a_folder_has_no_revisions(stage_1_folder):
    with pytest.raises(InputError, match="is a folder, which has no revisions; leave out 'v1'"):
        modelscope_i2v.load(stage_1_folder, 'v1')


def test_a_preprocessor_of_another_kind_is_refused(stage_1_folder):
    with pytest.raises(InputError, match="'preprocessor' must be of type ImageToVideoPreprocessor or None, found int"):
        load(stage_1_folder, device='cpu', show_progress=False, preprocessor=3)

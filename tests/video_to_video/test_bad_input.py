"""Videos, arguments and model folders that stage 2 cannot use: through ``pipeline()`` and the command line."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError
from modelscope_i2v.media.reading.open import open_video
from tests.calls import CLIP, VIDEO, build_2, latents_of
from tests.folders import IMAGE, variant
from tests.media.clips import gradient, record

FAST = {'steps': 1, 'height': 16, 'width': 16, 'guidance_scale': 1.0, 'solver': 'dpmpp_2m'}


@pytest.fixture(scope='module')
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bad')
    rng = np.random.default_rng(0)
    noisy = list(rng.integers(0, 256, (40, 48, 64, 3), dtype=np.uint8))
    front = {'movflags': '+faststart'}
    whole = record(folder / 'whole.mp4', noisy, container_options=front).read_bytes()
    small, large = (record(folder / f'{width}.ts', gradient(5, 48, width)).read_bytes() for width in (64, 96))
    avi = record(folder / 'whole.avi', gradient(3), 'mpeg4').read_bytes()
    contents = {
        'empty.mp4': b'',
        'headless.mp4': record(folder / 'tail.mp4', gradient(10)).read_bytes()[:600],
        'cut off.mp4': whole[: len(whole) * 2 // 3],
        'text.mp4': b'this is not a video\n' * 20,
        'changing.ts': small + large,
        'codec.avi': avi.replace(b'FMP4', b'ZZZZ'),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    shutil.copy(IMAGE, folder / 'image.png')
    return folder


BAD = {
    'none.mp4': 'does not exist',
    'empty.mp4': 'zero bytes',
    'headless.mp4': 'cannot be read as a video',
    'cut off.mp4': 'damaged or cut off',
    'text.mp4': 'video',
    'changing.ts': 'frames of different sizes: frame 5',
    'codec.avi': 'cannot be decoded',
    'image.png': 'image-to-video',
}


@pytest.mark.parametrize(('name', 'said'), BAD.items())
def test_bad_files(stage_2, bad_files, tmp_path, name, said):
    with pytest.raises(InputError, match=said) as caught:
        stage_2({'video_path': bad_files / name}, output_video=tmp_path / 'out.mp4', **FAST)
    assert type(caught.value) is InputError
    assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(('name', 'said'), BAD.items())
def test_bad_files_on_the_command_line(stage_2_folder, bad_files, tmp_path, capsys, name, said):
    options = ['--steps', '1', '--height', '16', '--width', '16', '--device', 'cpu', '--no-show-progress']
    code = main(
        [
            *('video-to-video', str(bad_files / name), '-o', str(tmp_path / 'out.mp4')),
            *('--model', str(stage_2_folder), *options),
        ]
    )
    printed = capsys.readouterr()
    assert code == 1
    assert name in printed.err
    assert printed.err.startswith('modelscope-i2v: ')
    assert 'Traceback' not in printed.err
    assert printed.out == ''
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('source', 'said'),
    [
        ({}, "needs the key 'video_path', found \\[\\]"),
        ({'video': 'a.mp4', 'text': 'x'}, "needs the key 'video_path', found \\['text', 'video'\\]"),
        ({'video_path': None}, 'NoneType'),
        (None, 'NoneType'),
        (3, 'int'),
        ('', 'empty'),
        (b'', 'zero bytes'),
        ((), 'is empty'),
        ({'video_path': []}, 'is empty'),
        (CLIP[:0], 'at least one frame'),
        (CLIP[0], r'\[48, 64, 3\]'),
        (CLIP.astype(np.float32), 'uint8'),
        (torch.zeros(2, 3, 8, 8), 'uint8'),
    ],
)
def test_what_is_no_video(stage_2, source, said):
    with pytest.raises(InputError, match=said):
        stage_2(source, **FAST)


def test_more_frames_than_there_are(stage_2, tmp_path):
    with pytest.raises(InputError, match="'num_frames' is 4, but .* has only 3 frames"):
        stage_2(CLIP, num_frames=4, output_video=tmp_path / 'a.mp4', **FAST)
    assert list(tmp_path.iterdir()) == []


def test_many_frames_of_one_pixel(stage_2):
    clip = np.arange(300, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=3)
    found = stage_2(clip, output_type='np', seed=1, **FAST)[VIDEO]
    assert found.shape == (300, 16, 16, 3)


def test_bad_values_on_the_command_line(stage_2_folder, tmp_path, capsys):
    video = str(record(tmp_path / 'a.mp4', gradient(2)))
    for options, said in (
        (['--noise-level', '0'], "'noise_level'"),
        (['--noise-level', '1000'], "'noise_level'"),
        (['--noise-level', '5', '--steps', '6'], "'steps' (6) must not exceed 'noise_level' (5)"),
        (['--height', '100'], '96 and 112'),
        (['--num-frames', '3'], 'has only 2 frames'),
    ):
        common = ['--model', str(stage_2_folder), '--device', 'cpu', '--no-show-progress']
        assert main(['video-to-video', video, '-o', str(tmp_path / 'out.mp4'), *common, *options]) == 1
        printed = capsys.readouterr()
        assert said in printed.err
        assert 'Traceback' not in printed.err
        assert not (tmp_path / 'out.mp4').exists()
    with pytest.raises(SystemExit) as left:
        main(['video-to-video', video, '-o', str(tmp_path / 'out.mp4'), '--noise-level', 'x'])
    assert left.value.code == 2


# Model folders


def with_weights(folder, place, name, weights):
    variant(folder, place)
    (place / name).unlink()
    save_file(weights, place / name)
    return place


def refused(folder, *parts, error=CheckpointError):
    with pytest.raises(error) as caught:
        build_2(folder)
    for part in parts:
        assert part in str(caught.value)


def test_missing_text_encoder(stage_1_folder, stage_2_folder, tmp_path):
    images_only = load_file(stage_1_folder / 'clip.safetensors')
    assert all(key.startswith('visual.') for key in images_only)
    folder = with_weights(stage_2_folder, tmp_path / 'a', 'clip.safetensors', images_only)
    refused(folder, str(folder / 'clip.safetensors'), 'missing', 'token_embedding.weight', 'ClipTextEncoder')
    (folder / 'clip.safetensors').unlink()
    refused(folder, str(folder / 'clip.safetensors'), 'does not exist')


def test_stage_1s_network(stage_1_folder, stage_2_folder, tmp_path):
    weights = load_file(stage_1_folder / 'unet.safetensors')
    folder = with_weights(stage_2_folder, tmp_path / 'a', 'unet.safetensors', weights)
    refused(folder, str(folder / 'unet.safetensors'), 'VideoToVideoUNet', 'unexpected')


def test_stage_1s_model(stage_1_folder, stage_2_folder, tmp_path, capsys):
    from modelscope_i2v import VideoToVideoPipeline

    with pytest.raises(ConfigurationError, match="must be 'video-to-video', found 'image-to-video'"):
        VideoToVideoPipeline(str(stage_1_folder), device='cpu')
    common = ['-o', str(tmp_path / 'out.mp4'), '--device', 'cpu', '--no-show-progress', '--model']
    video = str(record(tmp_path / 'a.mp4', gradient(1)))
    assert main(['video-to-video', video, *common, str(stage_1_folder)]) == 1
    assert 'is a model for image-to-video; video-to-video needs another one' in capsys.readouterr().err
    assert main(['image-to-video', str(IMAGE), *common, str(stage_2_folder)]) == 1
    assert 'is a model for video-to-video; image-to-video needs another one' in capsys.readouterr().err


def test_context_that_does_not_fit_the_text_encoder(stage_2_folder, tmp_path):
    folder = variant(stage_2_folder, tmp_path / 'a', {'model.model_cfg.unet.context_dim': 96})
    refused(folder, "'unet.context_dim' is 96", 'text features of size 64', error=ConfigurationError)


@pytest.mark.parametrize(('key', 'value'), [('height', 100), ('noise_level', 1000), ('positive_prompt', 3)])
def test_wrong_configuration(stage_2_folder, tmp_path, key, value):
    folder = variant(stage_2_folder, tmp_path / 'a', {f'model.model_cfg.{key}': value})
    refused(folder, str(folder / 'configuration.json'), f"'{key}'", error=ConfigurationError)
    assert json.loads((folder / 'configuration.json').read_text())['model']['model_cfg'][key] == value


def test_a_good_call_after_bad_ones(stage_2):
    before = latents_of(stage_2, seed=1)
    for source in ('none.mp4', {'video_path': CLIP[:0]}):
        with pytest.raises(InputError):
            stage_2(source)
    assert torch.equal(latents_of(stage_2, seed=1), before)


def test_what_the_file_could_not_hold_is_said_before_the_sampling(stage_2):
    never = {'callback_on_step_end': lambda *_: pytest.fail('sampled first')}
    with pytest.raises(InputError, match="'height' and 'width'"):
        stage_2(np.zeros((1, 400_000, 1, 3), np.uint8), **never)
    quick = dataclasses.replace(open_video(np.zeros((2, 8, 8, 3), np.uint8)), fps=2000.0)
    with pytest.raises(InputError, match="2000 frames per second, which is too many. Give 'output_fps'"):
        stage_2(quick, **never)


def test_a_list_of_pictures_is_one_video(stage_2):
    pictures = [Image.new('RGB', (32, 32), colour) for colour in ('red', 'blue')]
    alone = stage_2(pictures, seed=1, output_type='np')['output_video']
    assert np.array_equal(stage_2({'video_path': pictures}, seed=1, output_type='np')['output_video'], alone)
    assert len(alone) == 2


def test_a_misspelt_key_of_the_input_warns(stage_2, caplog):
    stage_2({'video_path': np.zeros((1, 32, 32, 3), np.uint8), 'txet': 'a fox'}, output_type='latent')
    assert "Ignoring 'txet' in the input. Did you mean 'text'?" in caplog.text

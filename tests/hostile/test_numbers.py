"""Numbers beyond ``float``, and beyond what Python turns into text."""

import json
from fractions import Fraction

import numpy as np
import pytest

import modelscope_i2v
from modelscope_i2v.checks import integer, number
from modelscope_i2v.errors import ConfigurationError, DeviceError, InputError, shown
from modelscope_i2v.media import write_video
from modelscope_i2v.model_folder import ModelFolder
from tests.folders import variant

HUGE, UNPRINTABLE = 10**400, 10**5000
BOTH = pytest.mark.parametrize('value', [HUGE, UNPRINTABLE], ids=['10^400', '10^5000'])


@pytest.mark.parametrize(
    'value', [HUGE, -HUGE, UNPRINTABLE, Fraction(UNPRINTABLE, 3)], ids=['e400', '-e400', 'e5000', 'third']
)
def test_a_number_beyond_every_float_is_refused(value):
    with pytest.raises(InputError, match="'scale' must be a number of at least 0 and at most 10, found"):
        number('scale', value, 0, 10, error=InputError)
    with pytest.raises(ConfigurationError, match="'x' must be a number"):
        number('x', value, 0, float('inf'))


@BOTH
def test_a_whole_number_beyond_64_bits_is_refused(value):
    with pytest.raises(
        ConfigurationError, match=r"'count' must be a whole number from 1 to 9223372036854775807, found"
    ):
        integer('count', value)
    with pytest.raises(ConfigurationError, match=r"'steps' must be a whole number from 1 to 1000, found"):
        integer('steps', value, 1, 1000)


def test_values_are_shown_shortly_whatever_they_are():
    class Odd:
        def __repr__(self):
            raise KeyError('no')

    assert shown(UNPRINTABLE) == 'an integer of 16610 bits'
    assert shown([UNPRINTABLE]) == '[an integer of 16610 bits]'
    assert 'Odd instance' in shown(Odd())
    assert len(shown('x' * 10**6)) < 300
    assert len(shown([['x' * 1000] * 1000] * 1000)) < 600
    assert (shown('a'), shown(3), shown(None), shown({'a': (1, 2.5)})) == ("'a'", '3', 'None', "{'a': (1, 2.5)}")


@BOTH
@pytest.mark.parametrize(
    'name', ['seed', 'steps', 'num_frames', 'height', 'guidance_scale', 'guidance_rescale', 'fps', 'output_fps',
             'noise_strength', 'eta', 'output_type', 'solver', 'callback_on_step_end', 'latents', 'show_progress',
             'output_video', 'fit']
)  # fmt: skip
def test_arguments_of_a_call(stage_1, name, value):
    with pytest.raises(InputError, match=name):
        stage_1(np.zeros((8, 8, 3), np.uint8), **{name: value})


@BOTH
@pytest.mark.parametrize(
    'name', ['text', 'negative_prompt', 'noise_level', 'solver_mode', 'window_overlap', 'num_frames', 'output_fps']
)
def test_arguments_of_a_call_of_stage_2(stage_2, name, value):
    with pytest.raises(InputError, match=name):
        stage_2(np.zeros((1, 8, 8, 3), np.uint8), **{name: value})


@pytest.mark.parametrize('key', [UNPRINTABLE, 5, None], ids=['huge', '5', 'None'])
def test_keys_of_an_input(stage_1, stage_2, key):
    with pytest.raises(InputError, match="needs the key 'image'"):
        stage_1({key: 1})
    with pytest.raises(InputError, match="needs the key 'video_path'"):
        stage_2({key: 1})
    with pytest.raises(InputError, match='Cannot load an image'):
        stage_1({'image': UNPRINTABLE, key: 1})
    with pytest.raises(InputError, match='Cannot open a video'):
        stage_2({'video_path': UNPRINTABLE, key: 1})


@pytest.mark.parametrize(
    'device', ['cuda:' + '9' * 5000, 'cuda:' + '9' * 400, UNPRINTABLE, HUGE, 'cuda:٣'], ids=list('abcde')
)
def test_devices(device):
    with pytest.raises(DeviceError, match='Available here'):
        modelscope_i2v.load('x/y', device=device, offline=True)


@pytest.mark.parametrize(
    'place', ['guidance_scale', 'target_fps', 'max_frames', 'batch_size', 'steps', 'latent_hei', 'unet.model_channels',
              'unet.channel_mult.0', 'unet.attention_resolutions.0', 'autoencoder.scale_factor', 'clip.embed_dim',
              'clip.vision_cfg.width', 'clip.vision_cfg.image_size', 'clip.vision_cfg.layers']
)  # fmt: skip
def test_configurations(stage_1_folder, tmp_path, place):
    folder = variant(stage_1_folder, tmp_path / 'model')
    file = folder / 'configuration.json'
    content = json.loads(file.read_text())
    *parents, last = place.split('.')
    section = content['model']['model_cfg']
    for name in parents:
        section = section[int(name) if isinstance(section, list) else name]
    section[int(last) if isinstance(section, list) else last] = HUGE
    file.unlink()
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError, match='configuration.json'):
        ModelFolder.read(folder).build_networks()
    file.write_text(file.read_text().replace(str(HUGE), '9' * 5000))
    with pytest.raises(ConfigurationError, match='is not valid JSON'):
        ModelFolder.read(folder)


@BOTH
def test_written_videos(tmp_path, value):
    frames = [np.zeros((8, 8, 3), np.uint8)]
    for options in ({'fps': value}, {'fps': 8, 'crf': value}, {'fps': 8, 'times': [value]}):
        with pytest.raises(InputError):
            write_video(frames, tmp_path / 'a.mp4', **options)

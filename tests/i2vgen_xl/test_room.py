"""The memory that the second generation needs, what shows through a transparent picture, and callers nobody knows."""

import base64
import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.chain_arguments import known_names, split_arguments
from modelscope_i2v.generation.memory import estimate
from modelscope_i2v.generation.memory_check import Room, check_memory
from modelscope_i2v.generation.unet_memory import unet_activations
from modelscope_i2v.generation.untrusted import untrusted_callers
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.i2vgen_xl.arguments import I2VGenXLArguments
from modelscope_i2v.i2vgen_xl.configuration import I2VGenXLConfiguration
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.networks import I2VGenXLUNet
from modelscope_i2v.networks.parameters import ImageToVideoUNetParameters
from modelscope_i2v.networks.slicing import CPU_SLICE_VALUES
from modelscope_i2v.runtime.execution import Execution
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from tests.fake_memory import peak_bytes
from tests.folders import IMAGE
from tests.golden import DATA
from tests.small_models import UNET

PICTURE = DATA / 'images' / 'rgba_300x257.png'
FULL = I2VGenXLConfiguration()
GPU = Execution(torch.device('cuda:0'), torch.float16, 'sdpa')


@pytest.mark.parametrize('size', [(16, 32, 32), (5, 64, 32), (16, 88, 160)], ids=str)
@pytest.mark.parametrize(
    ('parameters', 'off'), [({}, 0.06), ({**UNET, 'image_embed_dim': 64}, 0.06)], ids=['full', 'small']
)
def test_the_unet_against_fake_tensors(parameters, off, size):
    frames, height, width = size
    known = ImageToVideoUNetParameters(**parameters)

    def run(unet):
        x, t, fps = torch.empty(1, 4, frames, height, width), torch.zeros(1, dtype=torch.long), torch.empty(1)
        text, embedding = torch.empty(1, 77, known.context_dim), torch.empty(1, 1, known.image_embed_dim)
        latents = torch.empty(1, 4, height, width)
        return lambda: unet(x, t, text, embedding, latents, fps)

    measured = peak_bytes(lambda: I2VGenXLUNet(**parameters), run)
    estimated = unet_activations(known, frames, height, width, itemsize=4, math=False, limit=CPU_SLICE_VALUES)
    assert estimated == pytest.approx(measured, rel=off)


def arguments_of(**call):
    return merge_arguments(I2VGenXLArguments, FULL.call_defaults(), call)


def refusal(room, given=None, **call):
    try:
        check_memory(FULL, arguments_of(**call), GPU, room=Room(room, 2**40), given=given)
    except DeviceError as error:
        return str(error)
    return None


def test_the_size_follows_the_picture():
    tall = InputSize.of(Image.new('RGB', (1080, 1920)))
    assert FULL.video_size(arguments_of(), tall) == VideoSize(16, 1280, 704)
    assert FULL.video_size(arguments_of(height=640), tall) == VideoSize(16, 640, 384)
    assert FULL.video_size(arguments_of(height=640, width=640), tall) == VideoSize(16, 640, 640)
    assert FULL.video_size(arguments_of()) == VideoSize(16, 704, 1280)
    assert FULL.video_size(arguments_of(width=640)) == VideoSize(16, 64, 640)


@pytest.mark.parametrize('given', [None, InputSize(16 / 9, lambda most: 1), InputSize(0.5, lambda most: 1)])
def test_what_is_suggested_fits_whatever_the_picture_is(given):
    needed = estimate(FULL, arguments_of(), GPU, FULL.video_size(arguments_of(), given)).device
    assert refusal(needed, given) is None
    message = refusal(needed - 1, given)
    said = message.partition(', or ')[2].partition(' for ')[0]
    sides = {name: int(value) for name, value in (part.split('=') for part in said.split(', '))}
    assert sides.keys() == ({'height', 'width'} if given is None else {'height'})
    assert refusal(needed - 1, given, **sides) is None
    assert refusal(needed - 1, given, force=True) is None


def test_a_call_is_measured_before_it_is_sampled(i2vgen):
    with pytest.raises(DeviceError, match=r'3 frames of 16384 x 16384 pixels would take'):
        i2vgen(Image.new('RGB', (64, 64)), height=16384)


@pytest.mark.parametrize(('call', 'colour'), [({}, 'white'), ({'background': 'blue'}, 'blue')])
def test_the_background_shows_through(i2vgen, call, colour):
    opaque = Image.new('RGBA', (300, 257), colour)
    opaque.alpha_composite(Image.open(PICTURE))
    one = i2vgen.preprocess(PICTURE, i2vgen.resolve_arguments(call))
    other = i2vgen.preprocess(opaque.convert('RGB'), i2vgen.resolve_arguments({}))
    for name in ('pixel_values', 'frame'):
        assert (one[name] - other[name]).abs().max() < 0.02  # one level: both round


def test_none_shows_the_hidden_colours(i2vgen):
    dropped = Image.open(PICTURE).convert('RGB')
    one = i2vgen.preprocess(PICTURE, i2vgen.resolve_arguments({'background': None}))
    other = i2vgen.preprocess(dropped, i2vgen.resolve_arguments({}))
    assert torch.equal(one['frame'], other['frame'])


def test_unknown_callers_send_texts_but_name_no_files(i2vgen):
    content = base64.b64encode(np.asarray(memoryview(IMAGE.read_bytes()))).decode()
    call = {'seed': 1, 'output_type': 'latent'}
    expected = i2vgen(IMAGE, text='a fox', **call)['output_video']
    with untrusted_callers():
        for key in ('text', 'caption', 'prompt'):
            assert torch.equal(i2vgen({'image': content, key: 'a fox'}, **call)['output_video'], expected)
        with pytest.raises(InputError, match='Paths and addresses are not allowed here'):
            i2vgen({'image': str(IMAGE), 'text': 'a fox'}, **call)


def test_what_a_chain_shares():
    both = {'text': 'a fox', 'negative_prompt': 'a dog', 'background': None, 'force': True, 'steps': 2}
    first, second = split_arguments(I2VGEN_XL, VIDEO_TO_VIDEO, both)
    names = {item.name for item in dataclasses.fields(VIDEO_TO_VIDEO.arguments)}
    assert first.call == both
    assert second.call == {name: value for name, value in both.items() if name in names}
    assert 'text' in second.call
    assert 'sound_track' not in known_names(I2VGEN_XL, VIDEO_TO_VIDEO)
    with pytest.raises(TypeError, match="'sound_track'"):
        split_arguments(I2VGEN_XL, VIDEO_TO_VIDEO, {'sound_track': 1})

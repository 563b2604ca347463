"""Every invalid argument of a call raises an InputError that names it and says what is allowed."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from tests.calls import VIDEO
from tests.folders import IMAGE

NAN, INFINITE = float('nan'), float('inf')

#: Name, refused values, what the message says is allowed.
ILLEGAL = [
    ('steps', [0, -1, 1001, '5', True, 5.0, 2.5, [5]], 'a whole number from 1 to 1000'),
    ('num_frames', [0, -3, '5', True, 2.0, 2**63], 'a whole number from 1 to'),
    ('height', [0, -64, '64', 64.0, True, 2**40], 'a whole number from 1 to'),
    ('width', [0, -64, '64', 64.0, True, 2**40], 'a whole number from 1 to'),
    ('seed', [-1, 2**63, '1', 1.0, True], 'a whole number from 0 to 9223372036854775807'),
    ('guidance_scale', [NAN, INFINITE, -1, '3', True], 'a number of at least 0 and at most 1000'),
    ('guidance_rescale', [NAN, -0.1, 1.1, '0'], 'a number of at least 0 and at most 1'),
    ('guidance_min_timestep', [-1, 1001, 2.5, '0', True], 'a whole number from 0 to 1000'),
    ('fps', [0, -8, NAN, INFINITE, '8', 2000], 'a number of at least 0.001 and at most 1000'),
    ('output_fps', [0, -8, NAN, INFINITE, '8', 1e-4], 'a number of at least 0.001 and at most 1000'),
    ('noise_strength', [-0.1, NAN, '0.1'], 'a number of at least 0'),
    ('eta', [-0.1, 1.5, NAN, '0'], 'a number of at least 0 and at most 1'),
    ('image_strength', [-0.1, 1.5, NAN, '0', True], 'a number of at least 0 and at most 1'),
    ('output_type', ['avi', 'MP4', 3, ''], "one of 'mp4', 'np', 'pt', 'pil', 'latent'"),
    ('solver', ['ddmi', 'DDIM', 3, 'heun'], "one of 'ddim', 'dpmpp_2m', 'unipc', 'euler'"),
    ('timestep_spacing', ['linspace', 3], "one of 'leading', 'trailing'"),
    ('fit', ['stretch', 3], "one of 'crop', 'contain', 'keep'"),
    (
        'background',
        ['whitish', '#12', 'rgba(0, 0, 0, 0)', 3, [1, 2], (0, 0, 256), (0.5, 0, 0)],
        'a colour name such as',
    ),
    ('output_video', [3, b'a.mp4', ['a.mp4']], 'a path or None'),
    ('callback_on_step_end', ['print', 3], 'callable'),
    ('latents', ['x', np.zeros((1, 4, 3, 8, 8)), torch.zeros(4, 3, 8, 8)], 'a float tensor'),
    ('latents', [torch.zeros(1, 4, 3, 8, 8, dtype=torch.int64)], 'a float tensor'),
]


@pytest.mark.parametrize(
    ('name', 'value', 'allowed'), [(name, value, allowed) for name, values, allowed in ILLEGAL for value in values]
)
def test_illegal_values_are_named(stage_1, name, value, allowed):
    with pytest.raises(InputError, match=f"'{name}'") as caught:
        stage_1(str(IMAGE), **{name: value})
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'solver': 'dpmp_2m'}, "found 'dpmp_2m'. Did you mean 'dpmpp_2m'"),
        ({'output_type': 'mp3'}, "Did you mean 'mp4'"),
        # Two levels of the UNet and three of the autoencoder: multiples of 16.
        ({'height': 100}, "'height' must be a multiple of 16, found 100; the nearest legal values are 96 and 112"),
        ({'width': 8}, "'width' must be a multiple of 16, found 8; the nearest legal values are 16"),
        ({'eta': 0.5, 'solver': 'unipc'}, "'eta' has an effect only with solver='ddim', found solver='unipc'"),
        ({'output_video': 'a.mp4', 'output_type': 'np'}, "'output_video' is written for output_type='mp4' only"),
        ({'latents': torch.zeros(1, 4, 2, 8, 8)}, r"'latents' must have the shape \[1, 4, 3, 8, 8\].*found \[1, 4, 2,"),
        ({'latents': torch.full((1, 4, 3, 8, 8), NAN)}, "'latents' holds NaN or infinite"),
        ({'latents': torch.full((1, 4, 3, 8, 8), INFINITE)}, "'latents' holds NaN or infinite"),
        (
            {'steps': 1000, 'solver': 'euler', 'timestep_spacing': 'leading'},
            'fewer steps or a different timestep_spacing',
        ),
    ],
)
def test_what_the_message_suggests(stage_1, arguments, message):
    with pytest.raises(InputError, match=message):
        stage_1(str(IMAGE), **arguments)


def test_numbers_of_numpy_are_numbers(stage_1):
    plain = stage_1(str(IMAGE), seed=1, steps=1, fps=4, height=32, output_type='latent')[VIDEO]
    found = stage_1(
        str(IMAGE), seed=np.int64(1), steps=np.int32(1), fps=np.float32(4), height=np.uint8(32), output_type='latent'
    )[VIDEO]
    assert torch.equal(found, plain)


def test_half_precision_latents_are_taken_as_float32(stage_1):
    latents = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(1)).half()
    found = [stage_1(str(IMAGE), latents=given, output_type='latent')[VIDEO] for given in (latents, latents.float())]
    assert torch.equal(*found)


def test_an_absurd_size_ends_in_a_typed_error(stage_1):
    from modelscope_i2v.errors import DeviceError

    with pytest.raises(DeviceError, match='Out of memory.*fewer frames'):
        stage_1(str(IMAGE), num_frames=1_000_000, height=16384, width=16384, force=True)


def test_defaults_of_the_contract():
    arguments = ImageToVideoArguments()
    names = [item.name for item in dataclasses.fields(arguments)]
    expected = {
        'output_video': None,
        'output_type': 'mp4',
        'seed': None,
        'speed': 'exact',
        'steps': 50,
        'solver': 'ddim',
        'timestep_spacing': 'leading',
        'eta': 0.0,
        'guidance_scale': 3.0,
        'guidance_rescale': 0.0,
        'guidance_min_timestep': 0,
        'guidance_max_timestep': 999,
        'cache_interval': 1,
        'num_frames': 32,
        'height': 256,
        'width': 448,
        'fit': 'crop',
        'background': 'white',
        'fps': 8,
        'output_fps': 8,
        'noise_strength': 0.1,
        'image_strength': 0.0,
        'latents': None,
        'callback_on_step_end': None,
        'show_progress': True,
        'force': False,
    }
    assert {name: getattr(arguments, name) for name in names} == expected


def test_later_sources_win_and_none_is_not_given():
    merged = merge_arguments(ImageToVideoArguments, {'steps': 3, 'fps': 4}, {'steps': 5, 'fps': None}, {'eta': None})
    assert (merged.steps, merged.fps, merged.output_fps, merged.eta) == (5, 4, 4, 0.0)
    with pytest.raises(TypeError, match=r"Unknown argument 'step'\. Did you mean 'steps'\? Known: .*guidance_scale"):
        merge_arguments(ImageToVideoArguments, {'step': 3})


@pytest.mark.parametrize(
    ('given', 'kept'),
    [
        ('navy', 'navy'),
        ('#fff', '#fff'),
        ([1, 2, np.uint8(3)], (1, 2, 3)),
        ('none', None),
        ('None', None),
        (None, None),
    ],
)
def test_none_is_a_background(given, kept):
    assert ImageToVideoArguments(background=given).background == kept
    assert merge_arguments(ImageToVideoArguments, {'background': 'red'}, {'background': given}).background == kept
    assert merge_arguments(ImageToVideoArguments, {'background': given}, {'steps': 3}).background == kept


def test_show_progress_false_is_silent(stage_1, capfd):
    stage_1(str(IMAGE), steps=1, num_frames=1)
    assert capfd.readouterr() == ('', '')
    stage_1(str(IMAGE), steps=1, num_frames=1, show_progress=True)
    shown = capfd.readouterr().err
    assert 'Sampling' in shown
    assert 'Decoding' in shown


def test_numbers_of_any_kind_become_plain_ones():
    given = {'guidance_scale': Fraction(3), 'fps': Fraction(8), 'output_fps': Fraction(30000, 1001)}
    found = ImageToVideoArguments(**given, seed=np.int64(1), steps=np.int32(4), noise_strength=np.float32(0.5))
    assert [type(getattr(found, name)) for name in (*given, 'noise_strength')] == [float] * 4
    assert [type(found.seed), type(found.steps)] == [int, int]
    assert found.output_fps == pytest.approx(29.97, abs=1e-3)
    with pytest.raises(InputError, match="'show_progress' must be True or False, found 'x'"):
        ImageToVideoArguments(show_progress='x')

"""``image_strength``: the picture's latents take part in the initial noise of the first generation."""

import dataclasses

import numpy as np
import pytest
import torch

from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.chain import chain
from modelscope_i2v.generation.memory import estimate
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration
from modelscope_i2v.image_to_video.samplers import SAMPLERS
from modelscope_i2v.image_to_video.sigmas import sigmas_of
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.runtime.execution import Execution
from tests.calls import build, latents_of, timesteps_of
from tests.folders import IMAGE


def test_zero_is_the_original(stage_1):
    plain = latents_of(stage_1, seed=1)
    assert torch.equal(latents_of(stage_1, seed=1, image_strength=0), plain)
    assert not torch.equal(latents_of(stage_1, seed=1, image_strength=0.3), plain)


def test_sampling_starts_from_the_noised_picture(stage_1):
    """``alphas[t] picture + sigmas_vp[t] noise`` at the first timestep, with the draws of every other call."""
    model = stage_1.model
    arguments = stage_1.resolve_arguments({'seed': 5, 'image_strength': 0.4, 'solver': 'euler', 'steps': 5})
    inputs = stage_1.preprocess(str(IMAGE), arguments)
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(1, 4, 3, 8, 8, generator=generator)
    noise = noise + 0.1 * torch.randn(1, 4, 3, 1, 1, generator=generator)
    mean, _ = model.autoencoder.encode(inputs['frame'])
    picture = model.configuration.autoencoder.scale_factor * mean.unsqueeze(2).repeat(1, 1, 3, 1, 1)
    expected = model.schedule.alphas[599] * picture + model.schedule.sigmas_vp[599] * noise
    seen = []
    handle = model.unet.register_forward_pre_hook(lambda _, given: seen.append((given[0].clone(), int(given[1]))))
    try:
        model(**inputs, arguments=arguments)
    finally:
        handle.remove()
    assert seen[0][1] == 599
    assert seen[0][0] == pytest.approx(expected.float(), abs=1e-5)


@pytest.mark.parametrize(
    ('spacing', 'strength', 'expected'),
    [
        ('trailing', 0, [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]),
        ('trailing', 0.4, [599, 499, 399, 299, 199, 99]),
        ('trailing', 0.45, [549, 457, 366, 274, 182, 91]),
        ('trailing', 1, [1]),
        ('leading', 0, [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]),
        ('leading', 0.4, [501, 401, 301, 201, 101, 1]),
        ('leading', 1, [1]),
    ],
)
def test_fewer_steps_from_a_lower_level(spacing, strength, expected, stage_1):
    call = {'steps': 10, 'timestep_spacing': spacing, 'image_strength': strength, 'seed': 1}
    assert timesteps_of(stage_1, **call) == expected
    arguments = stage_1.resolve_arguments(call)
    assert (arguments.steps, arguments.steps_taken) == (10, len(expected))


@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
@pytest.mark.parametrize('steps', [1, 2, 7, 20, 50, 600])
def test_noise_levels_fall_strictly(steps, spacing, stage_1):
    for strength in np.linspace(0, 1, 101):
        arguments = ImageToVideoArguments(steps=steps, timestep_spacing=spacing, image_strength=float(strength))
        sigmas = sigmas_of(stage_1.model.schedule, arguments)
        assert len(sigmas) == arguments.steps_taken + 1 <= steps + 1
        assert (sigmas[1:] < sigmas[:-1]).all()


@pytest.mark.parametrize('solver', SAMPLERS)
@pytest.mark.parametrize('spacing', ['leading', 'trailing'])
def test_every_solver_and_spacing_stays_near_the_picture(solver, spacing, stage_1):
    """A network that has learnt nothing changes little in what little noise there is."""
    arguments = {'seed': 1, 'num_frames': 1, 'steps': 3, 'solver': solver, 'timestep_spacing': spacing}
    picture = stage_1.model.encode_picture(stage_1.preprocessor(str(IMAGE))['frame'])
    far, near, nearest = (
        (latents_of(stage_1, image_strength=strength, **arguments) - picture).abs().mean() for strength in (0, 0.7, 1)
    )
    assert nearest <= near < far  # equal where the only "leading" timestep is 1
    assert nearest < 0.05  # the noise of the second lowest level


def test_few_steps_are_spaced_so_that_they_start_at_the_highest_level_used():
    for strength, steps, spacing in (
        (0, 10, 'leading'),
        (0.4, 50, 'leading'),
        (0.8, 10, 'trailing'),
        (0, 9, 'trailing'),
    ):
        assert ImageToVideoArguments(steps=steps, image_strength=strength).timestep_spacing == spacing


def test_eta_and_guidance_go_on_working(stage_1):
    made = [latents_of(stage_1, seed=1, steps=4, image_strength=0.5, eta=eta) for eta in (0.0, 1.0)]
    assert all(each.isfinite().all() for each in made)
    assert not torch.equal(*made)


def test_it_needs_the_picture_and_its_own_noise(stage_1):
    with pytest.raises(InputError, match="'image_strength' has no effect on given 'latents'"):
        stage_1(str(IMAGE), image_strength=0.5, latents=torch.zeros(1, 4, 3, 8, 8))
    inputs = stage_1.preprocessor(str(IMAGE))
    with pytest.raises(InputError, match="Give 'frame'"):
        stage_1.model(inputs['pixel_values'], stage_1.resolve_arguments({'image_strength': 0.5}))


def test_other_models_name_the_one_that_takes_it(i2vgen, stage_2):
    for pipeline in (i2vgen, stage_2):
        with pytest.raises(TypeError, match="'image_strength'. Models of type 'image-to-video-model' take it"):
            pipeline(str(IMAGE), image_strength=0.5)


def test_the_recipe_repeats_it(stage_1, stage_1_folder, tmp_path):
    made = stage_1(str(IMAGE), seed=3, image_strength=0.5, output_video=tmp_path / 'a.mp4')
    (entry,) = read_recipe(made['output_video'])
    assert entry['image_strength'] == 0.5
    names = {item.name for item in dataclasses.fields(ImageToVideoArguments)} & set(entry)
    again = build(stage_1_folder)(str(IMAGE), output_type='np', **{name: entry[name] for name in names})
    expected = stage_1(str(IMAGE), seed=3, image_strength=0.5, output_type='np')
    assert np.array_equal(again['output_video'], expected['output_video'])


def test_the_encoder_counts_in_the_estimate_of_memory():
    configuration, on = ImageToVideoConfiguration(), Execution(torch.device('cpu'), torch.float32, 'sdpa')
    needed = []
    for strength in (0.0, 0.5):
        arguments = ImageToVideoArguments(image_strength=strength, output_type='latent', num_frames=1)
        assert configuration.frames_encoded(arguments, 16) == (strength > 0)
        size = dataclasses.replace(configuration.video_size(arguments), frames=1)
        needed.append(estimate(configuration, arguments, on, size).device)
    assert needed[0] <= needed[1]


def test_a_chain_and_its_command_line_take_it(stage_1, stage_2, stage_1_folder, stage_2_folder, tmp_path, capsys):
    call = {'seed': 1, 'stage1_steps': 2, 'stage2_steps': 1, 'image_strength': 0.5}
    result = chain(str(IMAGE), stage1=stage_1, stage2=stage_2, output_type='np', **call)
    expected = stage_1(str(IMAGE), seed=1, steps=2, image_strength=0.5, output_type='np')
    assert np.array_equal(result['stage1']['output_video'], expected['output_video'])
    out = tmp_path / 'out.mp4'
    given = ['chain', str(IMAGE), '-o', str(out), '--model', str(stage_1_folder), '--stage2-model', str(stage_2_folder)]
    options = [
        '--device',
        'cpu',
        '--num-frames',
        '3',
        '--steps',
        '1',
        '--image-strength',
        '0.5',
        '--stage1-fit',
        'keep',
    ]
    assert main([*given, *options]) == 0
    first, _ = read_recipe(out)
    assert (first['image_strength'], first['fit']) == (0.5, 'keep')
    capsys.readouterr()

"""What a call of the stage-1 pipeline does with its arguments: seeds, precedence, steps, guidance."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from modelscope_i2v.errors import InputError
from tests.calls import VIDEO, build, latents_of, timesteps_of, unet_calls
from tests.folders import ABSENT, IMAGE, variant

# Seeds


def test_same_seed_same_video(stage_1):
    first, second = (stage_1(str(IMAGE), seed=7) for _ in range(2))
    assert first[VIDEO] == second[VIDEO]
    assert first['seed'] == second['seed'] == 7
    assert stage_1(str(IMAGE), seed=8)[VIDEO] != first[VIDEO]


def test_a_second_pipeline_gives_the_same_video(stage_1, stage_1_folder):
    other = build(stage_1_folder, steps=2, num_frames=3)
    assert torch.equal(latents_of(other, seed=7), latents_of(stage_1, seed=7))


def test_without_a_seed_each_video_is_another_and_tells_its_seed(stage_1):
    first, second = (stage_1(str(IMAGE), output_type='latent') for _ in range(2))
    assert first['seed'] != second['seed']
    assert not torch.equal(first[VIDEO], second[VIDEO])
    assert torch.equal(latents_of(stage_1, seed=first['seed']), first[VIDEO])


@pytest.mark.parametrize('seed', [0, 2**32, 2**63 - 1, np.int64(5)])
def test_every_seed_within_bounds_works(stage_1, seed):
    assert stage_1(str(IMAGE), seed=seed, output_type='latent')['seed'] == seed


def contract_noise(seed, strength, shape=(1, 4, 3, 8, 8)):
    generator = torch.Generator('cpu').manual_seed(seed)
    noise = torch.randn(shape, generator=generator)
    return noise + strength * torch.randn((*shape[:3], 1, 1), generator=generator)


@pytest.mark.parametrize('arguments', [{}, {'noise_strength': 0.0}, {'noise_strength': 0.7}, {'solver': 'unipc'}])
def test_initial_noise_is_the_contracts(stage_1, arguments):
    latents = contract_noise(3, arguments.get('noise_strength', 0.1))
    from_seed = latents_of(stage_1, seed=3, **arguments)
    assert torch.equal(latents_of(stage_1, seed=99, latents=latents, **arguments), from_seed)
    assert not torch.equal(latents_of(stage_1, seed=3, latents=latents + 0.1, **arguments), from_seed)


def test_given_latents_do_not_shift_the_draws_of_later_steps(stage_1):
    drawn = latents_of(stage_1, seed=3, eta=1.0)
    assert torch.equal(latents_of(stage_1, seed=3, eta=1.0, latents=contract_noise(3, 0.1)), drawn)
    assert not torch.equal(latents_of(stage_1, seed=4, eta=1.0, latents=contract_noise(3, 0.1)), drawn)


def test_given_latents_stay_unchanged(stage_1):
    latents = contract_noise(3, 0.1)
    latents_of(stage_1, latents=latents)
    assert torch.equal(latents, contract_noise(3, 0.1))


def test_global_random_states_are_neither_read_nor_changed(stage_1_folder):
    videos = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)
        random.seed(global_seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        made = build(stage_1_folder, steps=2, num_frames=1)
        videos.append(made(str(IMAGE), seed=1, eta=1.0)[VIDEO])
        made(str(IMAGE))  # with a seed that it draws
        after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
    assert videos[0] == videos[1]


# Precedence: call > pipeline(...) > configuration.json > built-in default


def test_precedence_of_steps(stage_1_folder, tmp_path):
    configured = variant(stage_1_folder, tmp_path / 'a', {'model.model_cfg.steps': 4})
    bare = variant(stage_1_folder, tmp_path / 'b', {'model.model_cfg.steps': ABSENT})
    assert len(timesteps_of(build(configured, steps=3), steps=2)) == 2
    assert len(timesteps_of(build(configured, steps=3))) == 3
    assert len(timesteps_of(build(configured))) == 4
    assert len(timesteps_of(build(configured), steps=None)) == 4  # None is "not given"
    for solver, steps in {'ddim': 50, 'dpmpp_2m': 25, 'unipc': 20, 'euler': 30}.items():
        assert len(timesteps_of(build(bare), solver=solver, guidance_scale=1.0)) == steps
    assert len(timesteps_of(build(bare, solver='unipc'), guidance_scale=1.0)) == 20


def test_precedence_of_the_seed(stage_1_folder, tmp_path):
    for key in ('seed', 'Seed'):
        configured = variant(stage_1_folder, tmp_path / key, {f'model.model_args.{key}': 11})
        call = {'steps': 1, 'num_frames': 1, 'output_type': 'latent'}
        assert build(configured)(str(IMAGE), **call)['seed'] == 11
        made = build(configured, seed=12)
        assert made(str(IMAGE), **call)['seed'] == 12
        assert made(str(IMAGE), seed=13, **call)['seed'] == 13


def test_configured_sizes_and_rates(stage_1_folder, tmp_path):
    changes = {'max_frames': 2, 'latent_hei': 4, 'latent_wid': 6, 'target_fps': 5, 'steps': 1, 'guidance_scale': 1.0}
    changes = {f'model.model_cfg.{key}': value for key, value in {**changes, 'solver': 'euler'}.items()}
    made = build(variant(stage_1_folder, tmp_path / 'a', changes))
    assert made(str(IMAGE), output_type='np')[VIDEO].shape == (2, 32, 48, 3)
    assert made(str(IMAGE), output_type='np', num_frames=3, height=64, width=16)[VIDEO].shape == (3, 64, 16, 3)
    with unet_calls(made) as calls:
        latents_of(made)
    assert [fps.item() for *_, fps in calls] == [5]


# Unknown arguments


@pytest.mark.parametrize(
    ('name', 'hint'), [('num_step', "Did you mean 'num_frames'?|Did you mean 'steps'?"), ('guidance', 'guidance_scale')]
)
def test_unknown_argument_of_a_call(stage_1, name, hint):
    with pytest.raises(TypeError, match=f"'{name}'.*({hint})"):
        stage_1(str(IMAGE), **{name: 3})


def test_unknown_argument_of_the_constructor(stage_1_folder):
    with pytest.raises(TypeError, match="'guidence_scale' of pipeline.*Did you mean 'guidance_scale'"):
        build(stage_1_folder, guidence_scale=3)


def test_only_the_input_is_positional(stage_1):
    with pytest.raises(TypeError, match='keyword-only, found 1'):
        stage_1(str(IMAGE), 'out.mp4')


@pytest.mark.parametrize('options', [{'steps': 0}, {'height': 100}, {'solver': 'dim'}, {'seed': [1, 2]}])
def test_bad_defaults_are_refused_when_the_pipeline_is_built(stage_1_folder, options):
    with pytest.raises(InputError, match=f"'{next(iter(options))}'"):
        build(stage_1_folder, **options)


# Steps, solvers, guidance


@pytest.mark.parametrize('spacing', [None, 'leading', 'trailing'])
@pytest.mark.parametrize('solver', ['ddim', 'dpmpp_2m', 'unipc', 'euler'])
@pytest.mark.parametrize('steps', [1, 3, 7])
def test_exactly_the_steps_that_were_asked_for(stage_1, solver, steps, spacing):
    arguments = {'solver': solver, 'steps': steps, 'timestep_spacing': spacing, 'num_frames': 1, 'seed': 1}
    with unet_calls(stage_1) as calls:
        visited = timesteps_of(stage_1, guidance_scale=1.0, **arguments)
    assert len(visited) == len(calls) == steps
    assert [t.item() for _, t, *_ in calls] == visited
    leading = [1 + index * 1000 // steps for index in reversed(range(steps))]
    trailing = [round(1000 - index * 1000 / steps) - 1 for index in range(steps)]
    assert visited == (leading if spacing == 'leading' else trailing)  # fewer than 10 steps of ddim: 'trailing' too


def test_default_spacing_from_ten_steps_on(stage_1):
    assert timesteps_of(stage_1, steps=9)[0] == 999
    assert timesteps_of(stage_1, steps=10) == [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]
    assert timesteps_of(stage_1, steps=10, solver='euler')[0] == 999
    assert timesteps_of(stage_1, steps=10, timestep_spacing='trailing')[0] == 999


def test_solvers_give_different_videos(stage_1):
    names = ('ddim', 'dpmpp_2m', 'unipc', 'euler')
    ddim, dpmpp_2m, unipc, euler = (latents_of(stage_1, seed=1, steps=3, solver=name) for name in names)
    # On the same timesteps and without eta, DDIM is the same as Euler's method (Song et al. 2021, equation 13).
    torch.testing.assert_close(ddim, euler, atol=1e-3, rtol=1e-3)
    for first, second in ((ddim, dpmpp_2m), (ddim, unipc), (dpmpp_2m, unipc)):
        assert (first - second).abs().max() > 0.01


def test_more_steps_of_different_solvers_agree(stage_1):
    """All solve the same equation, so their results converge with more steps."""
    common = {'seed': 1, 'steps': 40, 'num_frames': 1, 'guidance_scale': 1.0, 'timestep_spacing': 'trailing'}
    found = [latents_of(stage_1, solver=name, **common) for name in ('ddim', 'dpmpp_2m')]
    coarse = [latents_of(stage_1, solver=name, **{**common, 'steps': 5}) for name in ('ddim', 'dpmpp_2m')]
    assert (found[0] - found[1]).abs().mean() < 0.5 * (coarse[0] - coarse[1]).abs().mean()


@pytest.mark.parametrize(('guidance_scale', 'passes'), [(1.0, 4), (1, 4), (3.0, 8), (0.0, 8)])
def test_guidance_of_one_skips_the_unconditional_pass(stage_1, guidance_scale, passes):
    with unet_calls(stage_1) as calls:
        latents_of(stage_1, steps=4, guidance_scale=guidance_scale)
    assert len(calls) == passes
    unconditional = [embedding.abs().max() == 0 for _, _, embedding, _ in calls]
    assert sum(unconditional) == passes - 4


def test_no_guidance_at_the_least_noisy_timesteps(stage_1):
    """Four steps, at 999, 749, 499 and 249: the last two without guidance."""
    with unet_calls(stage_1) as calls:
        found = latents_of(stage_1, seed=1, steps=4, timestep_spacing='trailing', guidance_min_timestep=500)
    seen = [(int(t), bool(embedding.abs().max() > 0)) for _, t, embedding, _ in calls]
    assert seen == [(999, True), (999, False), (749, True), (749, False), (499, True), (249, True)]
    never = latents_of(stage_1, seed=1, steps=4, timestep_spacing='trailing', guidance_min_timestep=1000)
    assert torch.equal(never, latents_of(stage_1, seed=1, steps=4, timestep_spacing='trailing', guidance_scale=1))
    assert not torch.equal(found, never)


def test_guidance_changes_the_video(stage_1):
    found = [latents_of(stage_1, seed=1, guidance_scale=scale) for scale in (1.0, 3.0)]
    found.append(latents_of(stage_1, seed=1, guidance_rescale=0.7))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


def test_fps_reaches_the_network(stage_1):
    with unet_calls(stage_1) as calls:
        slow = latents_of(stage_1, seed=1, fps=2)
    assert {fps.item() for *_, fps in calls} == {2}
    assert not torch.equal(slow, latents_of(stage_1, seed=1))
    assert torch.equal(slow, latents_of(stage_1, seed=1, fps=2, output_fps=30))


def test_no_guidance_at_the_noisiest_timesteps(stage_1):
    with unet_calls(stage_1) as calls:
        latents_of(stage_1, seed=1, steps=4, timestep_spacing='trailing', guidance_max_timestep=500)
    seen = [(int(t), bool(embedding.abs().max() > 0)) for _, t, embedding, _ in calls]
    assert seen == [(999, True), (749, True), (499, True), (499, False), (249, True), (249, False)]
    with pytest.raises(InputError, match=r"'guidance_min_timestep' \(600\) must not exceed 'guidance_max_timestep'"):
        latents_of(stage_1, guidance_min_timestep=600, guidance_max_timestep=500)


@pytest.mark.parametrize('stage', ['stage_1', 'stage_2'])
def test_both_passes_of_guidance_in_one_batch(request, stage, monkeypatch):
    """Sums may be added in another order. Where there is no guidance, there is no second half."""
    pipeline = request.getfixturevalue(stage)
    call = {'seed': 1, 'steps': 3, 'guidance_scale': 3.0, 'guidance_min_timestep': 400}
    separate = latents_of(pipeline, **call)
    monkeypatch.setattr(pipeline.model, 'execution', replace(pipeline.model.execution, memory='ample'))
    with unet_calls(pipeline) as calls:
        together = latents_of(pipeline, **call)
    assert [len(x) for x, *_ in calls] == [2 if int(t[0]) >= 400 else 1 for _, t, *_ in calls]
    assert {len(x) for x, *_ in calls} == {1, 2}
    assert (together - separate).abs().max() < 1e-4 * separate.abs().max()

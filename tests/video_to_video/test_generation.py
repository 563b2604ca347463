"""What a call of the stage-2 pipeline does with its arguments: seeds, steps, guidance, noise level."""

import random

import numpy as np
import pytest
import torch

from modelscope_i2v.diffusion import brownian_noise, sample_dpmpp_2m_sde, sdedit_timesteps
from modelscope_i2v.errors import InputError
from modelscope_i2v.video_to_video.arguments import VideoToVideoArguments
from tests.calls import CLIP, VIDEO, build_2, latents_of, timesteps_of, unet_calls
from tests.folders import ABSENT, variant

SOLVERS = ('heun', 'dpmpp_2m_sde', 'dpmpp_2m', 'unipc')


def by_hand(pipeline, seed, noise_level=600):
    """The clean latents, the noised start and the entropy, from the draws that a seed must make, in order."""
    generator = torch.Generator('cpu').manual_seed(seed)
    autoencoder, schedule = pipeline.model.autoencoder, pipeline.model.schedule
    frames = list(pipeline.preprocessor(CLIP)['video'].frames())
    with torch.no_grad():
        posteriors = [autoencoder.encode(frame[None]) for frame in frames]
    height, width = posteriors[0][0].shape[-2:]
    noise = torch.randn(3, 4, height, width, generator=generator)
    clean = torch.cat(
        [mean + (logvar / 2).exp() * part for (mean, logvar), part in zip(posteriors, noise[:, None], strict=True)]
    )
    clean = 0.18215 * clean.transpose(0, 1)[None]
    diffusion_noise = torch.randn(1, 4, 3, height, width, generator=generator)
    entropy = torch.randint(0, 2**63 - 1, (), generator=generator).item()
    t = noise_level - 1
    return clean, schedule.alphas[t] * clean + schedule.sigmas_vp[t] * diffusion_noise, entropy


# Seeds


def test_same_seed_same_video(stage_2, stage_2_folder):
    first, second = (stage_2(CLIP, seed=7) for _ in range(2))
    assert first[VIDEO] == second[VIDEO]
    assert first['seed'] == second['seed'] == 7
    assert stage_2(CLIP, seed=8)[VIDEO] != first[VIDEO]
    assert build_2(stage_2_folder, steps=2)(CLIP, seed=7)[VIDEO] == first[VIDEO]
    assert set(first) == {VIDEO, 'seed', 'model_revision'}
    free = [stage_2(CLIP, output_type='latent') for _ in range(2)]
    assert free[0]['seed'] != free[1]['seed']
    assert torch.equal(latents_of(stage_2, seed=free[0]['seed']), free[0][VIDEO])


@pytest.mark.parametrize('solver', SOLVERS)
@pytest.mark.parametrize('noise_level', [600, 40])
def test_the_start_is_the_contracts(stage_2, solver, noise_level):
    _, noised, _ = by_hand(stage_2, 3, noise_level)
    drawn = latents_of(stage_2, seed=3, solver=solver, noise_level=noise_level)
    given = latents_of(stage_2, seed=3, solver=solver, noise_level=noise_level, latents=noised)
    assert drawn.std() > 0.1
    torch.testing.assert_close(given, drawn, atol=2e-4, rtol=1e-4)
    moved = latents_of(stage_2, seed=3, solver=solver, noise_level=noise_level, latents=noised + 0.1)
    assert (moved - drawn).abs().max() > 0.01


@pytest.mark.parametrize('solver', SOLVERS)
def test_given_latents_are_used_as_they_are(stage_2, solver):
    _, noised, _ = by_hand(stage_2, 3)
    kept = noised.clone()
    first = latents_of(stage_2, seed=3, solver=solver, latents=noised)
    assert torch.equal(noised, kept)
    assert torch.equal(latents_of(stage_2, seed=3, solver=solver, latents=noised), first)
    # Only the SDE draws anything after the start.
    same = torch.equal(latents_of(stage_2, seed=4, solver=solver, latents=noised), first)
    assert same == (solver != 'dpmpp_2m_sde')


@torch.no_grad()
def test_brownian_noise_is_the_contracts(stage_2):
    """The whole SDE by hand, from the seed's draws to the last step."""
    _, noised, entropy = by_hand(stage_2, 3)
    model = stage_2.model
    timesteps = sdedit_timesteps(3, 600, drop_penultimate=True)
    assert timesteps == [599, 449, 299]
    sigmas = torch.cat([model.schedule.sigma(timesteps), torch.zeros(1)])
    text, negative = model.encode_text('a fox', model.configuration.positive_prompt), model.encode_text('fog')
    arguments = VideoToVideoArguments(seed=3)
    denoiser = model.denoiser((text,), (negative,), arguments)
    noise = brownian_noise(noised.shape, sigmas, entropy)
    expected = sample_dpmpp_2m_sde(denoiser, noised * sigmas[0], sigmas, noise=noise)
    call = {'text': 'a fox', 'negative_prompt': 'fog', 'solver': 'dpmpp_2m_sde', 'steps': 3}
    torch.testing.assert_close(latents_of(stage_2, seed=3, **call), expected, atol=2e-4, rtol=1e-4)
    other = brownian_noise(noised.shape, sigmas, entropy + 1)
    other = sample_dpmpp_2m_sde(denoiser, noised * sigmas[0], sigmas, noise=other)
    assert (other - expected).abs().max() > 0.05


def test_wrong_latents(stage_2):
    with pytest.raises(InputError, match=r"'latents' must have the shape \[1, 4, 3, 4, 6\].*found \[1, 4, 2, 4, 6\]"):
        latents_of(stage_2, latents=torch.zeros(1, 4, 2, 4, 6))


def test_global_random_states_are_neither_read_nor_changed(stage_2_folder):
    videos = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)
        random.seed(global_seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        made = build_2(stage_2_folder, steps=3, solver='dpmpp_2m_sde')
        videos.append(made(CLIP, seed=1)[VIDEO])
        made(CLIP)  # with a seed that it draws
        after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
    assert videos[0] == videos[1]


# Steps and solvers


@pytest.mark.parametrize('steps', [1, 2, 4, 7])
@pytest.mark.parametrize('solver', SOLVERS)
def test_exactly_the_steps_that_were_asked_for(stage_2, solver, steps):
    with unet_calls(stage_2) as calls:
        visited = timesteps_of(stage_2, solver=solver, steps=steps, guidance_scale=1.0, seed=1)
    assert len(visited) == steps
    assert len(calls) == (2 * steps - 1 if solver == 'heun' else steps)
    count = steps + 1 if solver == 'dpmpp_2m_sde' else steps
    wanted = [599 - index * 600 / count for index in range(steps)]
    assert all(abs(t - exact) <= 0.51 for t, exact in zip(visited, wanted, strict=True)), (visited, wanted)


@pytest.mark.parametrize('num_frames', [1, 3])
@pytest.mark.parametrize('solver', SOLVERS)
def test_one_step_and_one_frame(stage_2, solver, num_frames):
    found = stage_2(CLIP, solver=solver, steps=1, num_frames=num_frames, output_type='np', seed=1)[VIDEO]
    assert found.shape == (num_frames, 32, 42, 3)
    assert found.std() > 1


@pytest.mark.parametrize('steps', [1, 5])
@pytest.mark.parametrize('solver', SOLVERS)
def test_as_many_steps_as_levels(stage_2, solver, steps):
    visited = timesteps_of(stage_2, solver=solver, steps=steps, noise_level=steps, guidance_scale=1.0)
    assert len(visited) == steps
    assert visited[0] == steps - 1


@pytest.mark.parametrize('solver', SOLVERS)
def test_more_steps_than_levels(stage_2, solver):
    with pytest.raises(InputError, match=r"'steps' \(41\) must not exceed 'noise_level' \(40\)"):
        latents_of(stage_2, solver=solver, steps=41, noise_level=40)


def test_default_solver_and_steps(stage_2_folder, tmp_path):
    bare = {'model.model_cfg.steps': ABSENT}
    normal = build_2(variant(stage_2_folder, tmp_path / 'a', bare))
    fast = build_2(variant(stage_2_folder, tmp_path / 'b', {**bare, 'model.model_args.solver_mode': 'fast'}))
    named = build_2(variant(stage_2_folder, tmp_path / 'c', {**bare, 'model.model_cfg.solver': 'unipc'}))

    def settled(pipeline, **call):
        arguments = pipeline.resolve_arguments(call)
        return arguments.solver, arguments.steps

    assert settled(normal) == ('heun', 50)
    assert settled(fast) == settled(normal, solver_mode='fast') == ('dpmpp_2m_sde', 30)
    assert settled(fast, solver_mode='normal') == ('heun', 50)
    assert (
        settled(fast, solver='dpmpp_2m') == settled(normal, solver_mode='fast', solver='dpmpp_2m') == ('dpmpp_2m', 25)
    )
    assert settled(named) == ('unipc', 20)
    # A mode given in a call overrides a configured solver.
    assert settled(named, solver_mode='fast') == settled(fast)
    assert settled(named, solver_mode='fast', solver='dpmpp_2m') == ('dpmpp_2m', 25)
    by_default = build_2(variant(stage_2_folder, tmp_path / 'd', bare), solver='unipc')
    assert settled(by_default) == ('unipc', 20)
    assert settled(by_default, solver_mode='fast') == settled(fast)
    assert settled(normal, noise_level=10) == ('heun', 10)
    assert len(timesteps_of(fast, guidance_scale=1.0, height=16, width=16)) == 30


def test_solver_mode_is_the_solver(stage_2):
    common = {'seed': 1, 'steps': 3}
    fast, normal = (latents_of(stage_2, solver_mode=mode, **common) for mode in ('fast', 'normal'))
    assert torch.equal(fast, latents_of(stage_2, solver='dpmpp_2m_sde', **common))
    assert torch.equal(normal, latents_of(stage_2, solver='heun', **common))
    assert torch.equal(latents_of(stage_2, solver_mode='fast', solver='heun', **common), normal)
    others = [latents_of(stage_2, solver=name, **common) for name in ('dpmpp_2m', 'unipc')]
    for first, second in ((fast, normal), (normal, others[0]), (others[0], others[1])):
        assert (first - second).abs().max() > 0.001


@pytest.mark.parametrize('mode', ['slow', 'Fast', 3])
def test_any_other_mode_of_the_configuration_is_normal_but_not_of_a_call(stage_2, mode):
    with pytest.raises(InputError, match="'solver_mode'"):
        latents_of(stage_2, solver_mode=mode)


@pytest.mark.parametrize(('arguments', 'name'), [({'solver': 'ddim'}, 'solver'), ({'eta': 0.5}, 'eta')])
def test_what_only_stage_1_knows(stage_2, arguments, name):
    with pytest.raises((InputError, TypeError), match=f"'{name}'"):
        latents_of(stage_2, **arguments)


# Guidance and noise level


@pytest.mark.parametrize(('guidance_scale', 'passes'), [(1.0, 3), (7.5, 6), (0.0, 6)])
def test_guidance_of_one_skips_the_unconditional_pass(stage_2, guidance_scale, passes):
    with unet_calls(stage_2) as calls:
        latents_of(stage_2, steps=2, guidance_scale=guidance_scale)
    assert len(calls) == passes


def test_guidance_changes_the_video(stage_2):
    found = [latents_of(stage_2, seed=1, guidance_scale=scale) for scale in (1.0, 7.5)]
    found.append(latents_of(stage_2, seed=1, guidance_rescale=0.0))
    assert torch.equal(latents_of(stage_2, seed=1), found[1])
    assert torch.equal(latents_of(stage_2, seed=1, guidance_rescale=0.2), found[1])
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[1], found[2])


def test_a_lower_noise_level_keeps_more_of_the_input(stage_2):
    clean, _, _ = by_hand(stage_2, 1)
    distances = []
    for noise_level in (2, 30, 200, 600):
        found = latents_of(stage_2, seed=1, noise_level=noise_level, guidance_scale=1.0)
        distances.append((found - clean).square().mean().sqrt().item() / clean.std().item())
    assert distances == sorted(distances), distances
    assert distances[0] < 0.2 * distances[-1], distances


def test_default_noise_level(stage_2, stage_2_folder, tmp_path):
    assert timesteps_of(stage_2)[0] == 599
    configured = build_2(variant(stage_2_folder, tmp_path / 'a', {'model.model_cfg.noise_level': 300}), steps=1)
    assert timesteps_of(configured) == [299]
    assert timesteps_of(configured, noise_level=20) == [19]


@pytest.mark.parametrize('noise_level', [0, 1000, -1, 'x', True, 0.5, None])
def test_impossible_noise_levels(stage_2, noise_level):
    if noise_level is None:  # "not given"
        assert timesteps_of(stage_2, noise_level=None)[0] == 599
        return
    with pytest.raises(InputError, match="'noise_level'"):
        latents_of(stage_2, noise_level=noise_level)

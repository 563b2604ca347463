"""What ``speed`` sets, and that it sets nothing else."""

import dataclasses

import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import SPEEDS, merge_arguments
from modelscope_i2v.stage import stages
from tests.calls import build, build_2, latents_of, unet_calls

KINDS = {stage.name: stage.arguments for stage in stages()}
#: Passes of the network for each speed, with guidance everywhere: twice the steps. Heun takes two more for every step
#: but the last.
PASSES = {
    'image-to-video': {'exact': 100, 'balanced': 20, 'fast': 10},
    'i2vgen-xl': {'exact': 100, 'balanced': 20, 'fast': 10},
    'video-to-video': {'exact': 198, 'balanced': 40, 'fast': 24},
}
FOLDERS = {'image-to-video': 'stage_1_folder', 'i2vgen-xl': 'i2vgen_folder', 'video-to-video': 'stage_2_folder'}
#: What changes nothing, if given with the value that it has anyway, or that is only about where and whether to run.
EXACT = (
    {'speed': 'exact'},
    {'cache_interval': 1},
    {'guidance_min_timestep': 0},
    {'guidance_max_timestep': 999},
    {'force': True},
    {'show_progress': True},
)


def chosen(kind, *sources):
    arguments = merge_arguments(kind, *sources)
    return arguments.speed, arguments.solver, arguments.steps, arguments.timestep_spacing


@pytest.fixture(scope='module', params=FOLDERS)
def pipeline(request):
    """With as many steps by default as the original."""
    folder = request.getfixturevalue(FOLDERS[request.param])
    if request.param == 'video-to-video':
        return build_2(folder, num_frames=1, steps=50, height=32, width=32)
    return build(folder, num_frames=1, steps=50, height=32, width=32)


@pytest.mark.parametrize('speed', SPEEDS)
def test_number_of_passes(pipeline, speed):
    with unet_calls(pipeline) as calls:
        latents_of(pipeline, seed=1, speed=speed)
    assert len(calls) == PASSES[pipeline.stage.name][speed]


def test_no_option_changes_results_silently(pipeline):
    call = {'seed': 1, 'steps': 3}
    expected = latents_of(pipeline, **call)
    for option in EXACT:
        assert torch.equal(latents_of(pipeline, **call, **option), expected), option


def test_a_speed_is_its_arguments(pipeline):
    preset = KINDS[pipeline.stage.name].presets['fast']
    assert torch.equal(latents_of(pipeline, seed=1, speed='fast'), latents_of(pipeline, seed=1, **preset))


@pytest.mark.parametrize('name', KINDS)
def test_only_three_arguments_differ(name):
    kind = KINDS[name]
    exact = dataclasses.asdict(merge_arguments(kind, {}))
    for speed in ('balanced', 'fast'):
        found = dataclasses.asdict(merge_arguments(kind, {}, {'speed': speed}))
        differing = {key for key in found if found[key] != exact[key]}
        assert {'speed', 'steps'} <= differing <= {'speed', 'solver', 'steps', 'timestep_spacing'}
        assert found['steps'] < exact['steps']
        assert dataclasses.asdict(kind(speed=speed)) == found


@pytest.mark.parametrize('name', KINDS)
def test_single_arguments_win(name):
    kind, model = KINDS[name], {'solver': 'unipc', 'steps': 40, 'timestep_spacing': 'trailing'}
    balanced = chosen(kind, model, {'speed': 'balanced'})
    assert balanced == chosen(kind, {}, {'speed': 'balanced'})
    assert chosen(kind, model, {'speed': 'balanced', 'steps': 25}) == (*balanced[:2], 25, balanced[3])
    assert chosen(kind, model, {'speed': 'balanced', 'solver': 'unipc'})[1] == 'unipc'
    assert chosen(kind, model, {'speed': 'balanced'}, {'timestep_spacing': 'trailing'})[3] == 'trailing'


@pytest.mark.parametrize('name', KINDS)
def test_the_last_speed_wins(name):
    kind, model = KINDS[name], {'solver': 'unipc', 'steps': 40, 'timestep_spacing': 'trailing'}
    assert chosen(kind, model, {'speed': 'fast'}, {'speed': 'exact'}) == ('exact', 'unipc', 40, 'trailing')
    assert chosen(kind, model, {'speed': 'fast'}, {'speed': 'balanced'}) == chosen(kind, model, {'speed': 'balanced'})
    earlier = {'steps': 30, 'timestep_spacing': 'trailing'}
    assert chosen(kind, model, earlier, {'speed': 'fast'}) == chosen(kind, model, {'speed': 'fast'})


@pytest.mark.parametrize('name', KINDS)
def test_a_model_with_fewer_steps_stays_as_it_is(name):
    kind, model = KINDS[name], {'solver': 'unipc', 'steps': 2, 'timestep_spacing': 'trailing'}
    for speed in SPEEDS:
        assert chosen(kind, model, {'speed': speed}) == ('exact', 'unipc', 2, 'trailing')


def test_solver_mode_wins_over_the_solver_of_a_speed():
    kind = KINDS['video-to-video']
    assert chosen(kind, {'solver_mode': 'fast'}, {'speed': 'balanced'})[1] == kind.presets['balanced']['solver']
    assert chosen(kind, {}, {'speed': 'balanced', 'solver_mode': 'fast'})[1] == 'dpmpp_2m_sde'
    assert chosen(kind, {}, {'speed': 'balanced', 'noise_level': 3})[2] == 3


@pytest.mark.parametrize('speed', ['quick', 3, ['fast'], True])
def test_other_speeds_are_refused(speed):
    for kind in KINDS.values():
        with pytest.raises(InputError, match="'speed' must be one of 'exact', 'balanced', 'fast'"):
            merge_arguments(kind, {}, {'speed': speed})

import pytest
import torch

from modelscope_i2v.diffusion import reuse_deep_features
from modelscope_i2v.networks.unet import DeepFeatures
from tests.calls import latents_of
from tests.golden import difference, unet_tiny
from tests.micro_unets import UNETS, draw


def recorder(calls, name=''):
    """A network whose deep features are the timestep they were computed at."""

    def network(latents, timestep, deep):
        calls.append(f'{name}{timestep}' if deep is None else f'{name}{timestep}<{deep}')
        return latents, deep or timestep

    return network


def test_features_are_computed_in_one_of_so_many_steps():
    calls = []
    (network,) = reuse_deep_features(3, recorder(calls))
    for timestep in (9, 8, 7, 6, 5):
        network(torch.zeros(1), timestep)
    assert calls == ['9', '8<9', '7<9', '6', '5<6']


def test_nothing_is_reused_with_an_interval_of_one():
    calls = []
    (network,) = reuse_deep_features(1, recorder(calls))
    for timestep in (9, 8, 7):
        network(torch.zeros(1), timestep)
    assert calls == ['9', '8', '7']


def test_features_that_are_too_old_are_not_used():
    """The second network is called from the fourth step on, and the first one pauses."""
    calls = []
    first, second = reuse_deep_features(3, recorder(calls, 'a'), recorder(calls, 'b'))
    for timestep in (9, 8, 7):
        first(torch.zeros(1), timestep)
    for timestep in (6, 5):
        second(torch.zeros(1), timestep)
    first(torch.zeros(1), 4)
    first(torch.zeros(1), 3)
    assert calls == ['a9', 'a8<9', 'a7<9', 'b6', 'b5<6', 'a4', 'a3<4']


def test_windows_keep_their_own_features():
    calls = []
    (network,) = reuse_deep_features(2, lambda x, t, deep: (calls.append((t, int(x), deep)) or x, deep or int(x)))
    for timestep in (9, 8, 7):
        for window in (1, 2):
            network(torch.tensor(window), timestep)
    assert calls == [(9, 1, None), (9, 2, None), (8, 1, 1), (8, 2, 2), (7, 1, None), (7, 2, None)]


def test_a_timestep_that_is_evaluated_again_is_no_other_window():
    """As in Heun's method, from the second timestep on."""
    calls = []
    (network,) = reuse_deep_features(2, lambda x, t, deep: (calls.append((t, int(x), deep)) or x, deep or (t, int(x))))
    for timestep in (9, 8, 8, 7, 7):
        for window in (1, 2):
            network(torch.tensor(window), timestep)
    assert [deep for _, _, deep in calls] == [
        *(None, None),
        *((9, 1), (9, 2), (9, 1), (9, 2)),
        *(None, None, (7, 1), (7, 2)),
    ]


@pytest.mark.parametrize('name', UNETS)
@torch.no_grad()
def test_a_pass_with_its_own_features_is_the_whole_pass(name):
    build, inputs = UNETS[name]
    unet, deep = build(), DeepFeatures()
    whole = unet(*inputs)
    assert torch.equal(unet(*inputs, deep=deep), whole)
    kept = deep.hidden.clone()
    assert torch.equal(unet(*inputs, deep=deep), whole)
    assert torch.equal(deep.hidden, kept)
    other = (inputs[0] + 0.1, *inputs[1:])
    reused = unet(*other, deep=deep)
    assert difference(reused, unet(*other)) > 1e-3
    assert difference(reused, whole) > 1e-3


@pytest.mark.parametrize('outer_blocks', [1, 2, 3])
@torch.no_grad()
def test_any_number_of_blocks_of_the_finest_level_may_be_outside(outer_blocks):
    unet, inputs = unet_tiny(), (draw(1, 4, 2, 8, 8), torch.tensor([500]), draw(1, 1, 64), torch.tensor([8]))
    deep, run = DeepFeatures(outer_blocks), []
    whole = unet(*inputs, deep=deep)
    handles = [block.register_forward_hook(lambda *_: run.append(1)) for block in (*unet.encoder, *unet.decoder)]
    assert torch.equal(unet(*inputs, deep=deep), whole)
    assert len(run) == 2 * outer_blocks - 1
    for handle in handles:
        handle.remove()


def test_the_argument_changes_nothing_unless_it_is_above_one(stage_1, stage_2):
    for pipeline in (stage_1, stage_2):
        call = {'seed': 1, 'steps': 4, 'guidance_scale': 3.0}
        plain = latents_of(pipeline, **call)
        assert torch.equal(latents_of(pipeline, **call, cache_interval=1), plain)
        middle = []
        handle = pipeline.model.unet.middle.register_forward_hook(lambda *_, middle=middle: middle.append(1))
        cached = latents_of(pipeline, **call, cache_interval=2)
        handle.remove()
        assert not torch.equal(cached, plain)
        assert cached.isfinite().all()
        assert len(middle) == {'ddim': 4, 'heun': 4}[pipeline.resolve_arguments(call).solver]

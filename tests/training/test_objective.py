import pytest
import torch
from torch import nn

from modelscope_i2v.diffusion import logsnr_cosine_interp_schedule, scaled_linear_schedule
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.training.objective import Objective

SCALE = 0.5


def objective(**settings):
    values = {'schedule': scaled_linear_schedule(), 'unconditional': torch.full((1, 3), -7.0), 'scale_factor': SCALE}
    return Objective(takes_fps=True, **{**values, **settings})


def batch_of(count=64, frames=3, side=4, logvar=-30.0, **more):
    generator = torch.Generator().manual_seed(5)
    mean = torch.randn(count, 4, frames, side, side, generator=generator)
    condition = torch.arange(3.0).repeat(count, 1, 1)
    return {
        'mean': mean,
        'logvar': torch.full_like(mean, logvar),
        'condition': condition,
        'fps': torch.full((count,), 8.0),
        **more,
    }


class Recorder(nn.Module):
    """Returns a function of the inputs, and records them."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x, t, condition, *more):
        self.seen = (x, t, condition, *more)
        return self.answer(x, t)


def knows(schedule, clean):
    """The exact v of known clean latents."""

    def answer(x, t):
        alpha, sigma = (table[t].float().view(-1, 1, 1, 1, 1) for table in (schedule.alphas, schedule.sigmas_vp))
        return alpha * (x - alpha * clean) / sigma - sigma * clean

    return answer


def test_the_exact_v_has_no_loss():
    batch, loss = batch_of(), objective()
    network = Recorder(knows(loss.schedule, SCALE * batch['mean']))
    assert loss(network, batch, torch.Generator().manual_seed(0))['loss'] < 1e-6


@pytest.mark.parametrize(
    ('errors', 'expected'),
    [
        ([0.5, 0.5, 0.5, 0.5], 0.25),
        ([0.5, -0.5, 0.5, -0.5], 0.25 + 3 * 0.5),  # successive errors differ by 1
        ([0.5, 0.5, -0.5, -0.5], 0.25 + 3 * 0.5 / 3),
    ],
)
def test_errors_that_change_from_frame_to_frame_cost_more(errors, expected):
    batch, loss = batch_of(frames=4), objective(motion_weight=3.0)
    exact = knows(loss.schedule, SCALE * batch['mean'])
    network = Recorder(lambda x, t: exact(x, t) + torch.tensor(errors).view(4, 1, 1))
    found = loss(network, batch, torch.Generator().manual_seed(0))['loss']
    assert float(found) == pytest.approx(expected, abs=2e-3)


def test_a_single_frame_has_no_motion_to_weigh():
    batch = batch_of(frames=1)
    losses = [
        objective(motion_weight=weight)(Recorder(lambda x, t: x), batch, torch.Generator().manual_seed(0))['loss']
        for weight in (0.0, 3.0)
    ]
    assert torch.isfinite(losses[0])
    assert torch.equal(*losses)


CHECKED = [[1.0, -1.0], [-1.0, 1.0]]


@pytest.mark.parametrize(
    ('pattern', 'pooling', 'expected'),
    [
        (torch.ones(4, 4), (2, 4), 1 + 2 + 4),
        (torch.tensor(CHECKED).repeat(2, 2), (2, 4), 1),  # averages to zero
        (torch.tensor(CHECKED).repeat_interleave(2, 0).repeat_interleave(2, 1), (2, 4), 1 + 2),
    ],
)
def test_pooling_makes_errors_that_neighbours_share_cost_more(pattern, pooling, expected):
    batch, loss = batch_of(), objective(pooling=pooling)
    exact = knows(loss.schedule, SCALE * batch['mean'])
    found = loss(Recorder(lambda x, t: exact(x, t) + pattern), batch, torch.Generator().manual_seed(0))['loss']
    assert float(found) == pytest.approx(expected, abs=2e-2)


def test_pooling_weighs_motion_too():
    """One frame is off by 1, the other is right: squared error 1/2 and difference 1, with weights 1 and 2."""
    batch, loss = batch_of(frames=2), objective(pooling=(2,), motion_weight=3.0)
    exact = knows(loss.schedule, SCALE * batch['mean'])
    network = Recorder(lambda x, t: exact(x, t) + torch.tensor([1.0, 0.0]).view(2, 1, 1))
    found = loss(network, batch, torch.Generator().manual_seed(0))['loss']
    assert float(found) == pytest.approx((0.5 + 3.0 * 0.5) * 3, abs=2e-2)


def test_predicting_nothing_costs_the_variance_of_v():
    """For clean latents of zero, v is alpha times the noise, whose variance is 1 + offset_noise^2."""
    batch = batch_of(count=4000, frames=2, side=4)
    batch['mean'] = torch.zeros_like(batch['mean'])
    loss = objective(offset_noise=0.5)
    found = loss(Recorder(lambda x, t: torch.zeros_like(x)), batch, torch.Generator().manual_seed(0))['loss']
    expected = float(loss.schedule.alphas.square().mean()) * 1.25
    assert float(found) == pytest.approx(expected, rel=0.05)


def test_latents_are_drawn_from_the_posterior_and_scaled():
    batch = batch_of(count=2000, frames=1, side=4, logvar=0.0)
    batch['mean'] = torch.full_like(batch['mean'], 3.0)
    loss = objective(offset_noise=0.0)
    network = Recorder(lambda x, t: torch.zeros_like(x))
    loss(network, batch, torch.Generator().manual_seed(0))
    x, t = network.seen[:2]
    quiet = t < 20
    assert int(quiet.sum()) > 10
    assert float(x[quiet].mean()) == pytest.approx(3 * SCALE, abs=0.1)
    assert float(x[quiet].std()) == pytest.approx(SCALE, abs=0.1)


@pytest.mark.parametrize(('rate', 'low', 'high'), [(0.0, 0, 0), (0.1, 0.07, 0.13), (1.0, 1, 1)])
def test_conditions_are_dropped_as_often_as_asked(rate, low, high):
    network = Recorder(lambda x, t: torch.zeros_like(x))
    objective(conditioning_dropout=rate)(network, batch_of(2000, 1, 2), torch.Generator().manual_seed(0))
    condition = network.seen[2]
    dropped = (condition == -7).all(dim=-1)
    assert low <= float(dropped.float().mean()) <= high
    assert torch.equal(condition[~dropped], torch.arange(3.0).expand(int((~dropped).sum()), 3))


@pytest.mark.parametrize(('power', 'mean'), [(1.0, 1 / 2), (2.0, 2 / 3), (4.0, 4 / 5)])
def test_a_power_prefers_noisy_timesteps(power, mean):
    network = Recorder(lambda x, t: torch.zeros_like(x))
    objective(timestep_power=power)(network, batch_of(4000, 1, 2), torch.Generator().manual_seed(0))
    t = network.seen[1]
    assert float(t.float().mean()) == pytest.approx(1000 * mean, rel=0.03)
    assert 0 <= int(t.min()) <= int(t.max()) <= 999


def test_no_timestep_above_those_that_are_trained_on():
    loss, network = objective(num_timesteps=600), Recorder(lambda x, t: x)
    loss(network, batch_of(count=4000, frames=1, side=1), torch.Generator().manual_seed(0))
    assert 590 < int(network.seen[1].max()) < 600
    assert float(network.seen[1].float().mean()) == pytest.approx(299.5, rel=0.03)


def test_the_frame_rate_goes_to_stage_1_alone():
    network = Recorder(lambda x, t: torch.zeros_like(x))
    objective()(network, batch_of(2), torch.Generator())
    assert network.seen[3].tolist() == [8, 8]
    loss = Objective(
        schedule=scaled_linear_schedule(), unconditional=torch.zeros(1, 3), scale_factor=1.0, takes_fps=False
    )
    loss(network, batch_of(2), torch.Generator())
    assert len(network.seen) == 3


def test_a_source_enters_at_its_level_and_leaves_on_the_way_to_the_clean_latents():
    """With a source, x / alpha has the mean clean + sigma / sigma_start (source - clean)."""
    schedule = logsnr_cosine_interp_schedule()
    batch = batch_of(4000, 1, 2)
    batch['mean'] = torch.zeros_like(batch['mean'])
    batch['source'] = torch.full_like(batch['mean'], 2.0 / SCALE)
    loss = objective(schedule=schedule, noise_levels=(300, 300), offset_noise=0.0)
    network = Recorder(knows(schedule, torch.zeros(1)))
    assert loss(network, batch, torch.Generator().manual_seed(0))['loss'] < 1e-6
    x, t = network.seen[:2]
    assert int(t.max()) == 299
    for low, high in ((0, 100), (100, 200), (200, 300)):
        chosen = (t >= low) & (t < high)
        carried = x[chosen] / schedule.alphas[t[chosen]].view(-1, 1, 1, 1, 1)
        expected = 2 * schedule.sigmas[t[chosen]].mean() / schedule.sigmas[299]
        assert float(carried.mean()) == pytest.approx(float(expected), abs=0.05)


def test_the_same_generator_gives_the_same_loss_and_the_global_one_is_left_alone():
    before = torch.get_rng_state()
    losses = [
        objective()(Recorder(lambda x, t: x), batch_of(), torch.Generator().manual_seed(seed))['loss']
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), before)


def test_squares_of_one_latent_are_no_pooling():
    with pytest.raises(ConfigurationError, match="'pooling' must be"):
        objective(pooling=(1,))


def test_impossible_levels_are_refused():
    with pytest.raises(ConfigurationError, match='noise_levels'):
        objective(noise_levels=(300, 200))

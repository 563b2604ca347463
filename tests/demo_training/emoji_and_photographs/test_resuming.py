"""What is finished is not done again, and what was stopped goes on as if it had not been."""

import signal
from itertools import pairwise

import pytest
import torch
from torch import nn

from demo_training.emoji_and_photographs.finished import Phase, Shelf, is_made_from
from demo_training.emoji_and_photographs.recipe import Recipe
from demo_training.emoji_and_photographs.stopping import Stop
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings

SETTINGS = LoopSettings(steps=8, learning_rate=1e-2, warmup_steps=0, log_every=100)


class Numbers(torch.utils.data.Dataset):
    def __getitem__(self, number):
        return torch.full((4, 3), float(number))


def trained(folder, stop=None, stop_at=None):
    model = seeded(lambda: nn.Linear(3, 2), 0)
    seen = []

    def loss(model, batch, generator):
        seen.append(int(batch[0, 0]))
        if seen[-1] == stop_at:
            signal.raise_signal(signal.SIGTERM)
        return {'loss': (model(batch + torch.randn(batch.shape, generator=generator)) - 1).square().mean()}

    try:
        fit(model, loss, Numbers(), SETTINGS, folder, stop=stop)
    except KeyboardInterrupt:
        return seen, None
    return seen, model.state_dict()


def test_sigterm_ends_a_training_after_its_step_and_it_resumes_bit_for_bit(tmp_path):
    stop = Stop()
    with stop.listening(), stop.deferred():
        seen, weights = trained(tmp_path / 'stopped', stop, stop_at=3)
    assert (seen, weights) == ([0, 1, 2, 3], None)
    seen, weights = trained(tmp_path / 'stopped', Stop())
    assert seen == [4, 5, 6, 7]
    _, expected = trained(tmp_path / 'through')
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_a_training_that_is_asked_to_stop_in_its_last_step_is_done(tmp_path):
    stop = Stop()
    with stop.listening(), stop.deferred():
        _, weights = trained(tmp_path, stop, stop_at=7)
    assert stop()
    assert weights is not None


def test_sigterm_ends_other_work_at_once():
    stop = Stop()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stop.listening():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def network(tmp_path, made_from, folder='folder', keep=False, trained=None):
    def train(network):
        if trained is None:
            raise AssertionError('trained again')
        return trained

    return after(tmp_path, [Phase('linear', made_from, train)], folder, keep)


def after(tmp_path, phases, folder='folder', keep=False):
    shelf = Shelf(tmp_path / folder, tmp_path / 'finished', keep)
    return shelf.network_after(phases, lambda: seeded(lambda: nn.Linear(2, 2), 0), lambda: nn.Linear(2, 2))


def test_a_finished_network_is_kept_in_half_precision_and_used_in_another_folder(tmp_path):
    made = seeded(lambda: nn.Linear(2, 2), 0)
    found = network(tmp_path, 'one', keep=True, trained=made)
    halves = {name: value.half().float() for name, value in made.state_dict().items()}
    assert all(torch.equal(found.state_dict()[name], value) for name, value in halves.items())
    assert not any(parameter.requires_grad for parameter in found.parameters())
    for folder in ('folder', 'another'):
        again = network(tmp_path, 'one', folder)
        assert all(torch.equal(again.state_dict()[name], value) for name, value in halves.items())
    paths = [tmp_path / folder / 'linear.safetensors' for folder in ('finished', 'folder', 'another')]
    assert all(one.read_bytes() == other.read_bytes() for one, other in pairwise(paths))


def test_networks_made_from_something_else_are_not_used(tmp_path):
    network(tmp_path, 'one', keep=True, trained=nn.Linear(2, 2))
    # What is in the training's own folder is never overwritten.
    with pytest.raises(ConfigurationError, match='made from other weights'):
        network(tmp_path, 'two')
    network(tmp_path, 'two', 'another', trained=nn.Linear(2, 2))
    assert is_made_from(tmp_path / 'another' / 'linear.safetensors', 'two')
    assert is_made_from(tmp_path / 'finished' / 'linear.safetensors', 'one')
    assert not is_made_from(tmp_path / 'nowhere', 'one')


def test_a_damaged_network_is_reported_or_made_again(tmp_path, caplog):
    made = nn.Linear(2, 2)
    network(tmp_path, 'one', keep=True, trained=made)
    own, kept = (tmp_path / folder / 'linear.safetensors' for folder in ('folder', 'finished'))
    whole = own.read_bytes()
    for damaged in (b'', whole[:40], whole[:-1]):
        own.write_bytes(damaged)
        with pytest.raises(ConfigurationError, match=rf"'{own}' is damaged .* Remove it"):
            network(tmp_path, 'one')
        kept.write_bytes(damaged)
        own.unlink()
        caplog.clear()
        network(tmp_path, 'one', trained=made)
        assert f"'{kept}' is damaged" in caplog.text
        assert own.read_bytes() == whole


@pytest.mark.parametrize('foreign', ['linear-1', 'linear-2'])
def test_kept_networks_of_another_training_are_replaced_with_a_warning_and_never_removed(foreign, tmp_path, caplog):
    def phase(name, made_from):
        return Phase(name, made_from, lambda network: network)

    ours = [phase('linear-1', 'ours 1'), phase('linear-2', 'ours 2')]
    after(tmp_path, ours)
    after(tmp_path, [phase(foreign, 'theirs')], 'another', keep=True)
    after(tmp_path, ours, keep=True)
    finished = tmp_path / 'finished'
    assert is_made_from(finished / 'linear-2.safetensors', 'ours 2')
    assert is_made_from(finished / 'linear-1.safetensors', 'theirs') == (foreign == 'linear-1')
    assert ('which was made from something else' in caplog.text) == (foreign == 'linear-2')


def test_a_trial_is_not_kept(tmp_path):
    with pytest.raises(InputError, match=r"'keep' is for whole trainings, found scale=0\.5"):
        Recipe(tmp_path, 0.5, keep=True)


def test_phases_go_on_from_the_last_finished_one(tmp_path):
    seen = []

    def phase(number):
        def train(network):
            seen.append((number, float(network.bias[0].detach())))
            changed = nn.Linear(2, 2)
            nn.init.constant_(changed.bias, number + 0.1)
            return changed

        return Phase(f'linear-{number}', f'digest {number}', train)

    phases = [phase(number) for number in range(4)]
    after(tmp_path, phases[:2], keep=True)
    assert [path.name for path in (tmp_path / 'finished').iterdir()] == ['linear-1.safetensors']
    made = after(tmp_path, phases, 'another', keep=True)
    assert float(made.bias[0]) == float(torch.tensor(3.1).half())
    start = float(seeded(lambda: nn.Linear(2, 2), 0).bias[0].detach().half())
    numbers, starts = zip(*seen, strict=True)
    assert numbers == (0, 1, 2, 3)
    assert starts == pytest.approx((start, 0.1, 1.1, 2.1), abs=1e-3)
    assert [path.name for path in (tmp_path / 'finished').iterdir()] == ['linear-3.safetensors']
    after(tmp_path, phases, 'a third')
    assert len(seen) == 4

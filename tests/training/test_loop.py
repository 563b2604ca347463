import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from modelscope_i2v.errors import CheckpointError, ConfigurationError, DeviceError, OutputError
from modelscope_i2v.training.loop.fit import fit
from modelscope_i2v.training.loop.log import read_log
from modelscope_i2v.training.loop.settings import LoopSettings


class Numbers(Dataset):
    """Batch i is a function of i: points of a line with noise."""

    def __getitem__(self, number):
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(16, 4, generator=generator)
        return {'x': x, 'y': x @ torch.tensor([1.0, -2.0, 3.0, 0.5]) + 1}


def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 32), nn.SiLU(), nn.Dropout(0.1), nn.Linear(32, 1))


def squared_error(model, batch, generator):
    jitter = 0.01 * torch.randn(batch['y'].shape, generator=generator)
    return {'loss': (model(batch['x'])[:, 0] - batch['y'] - jitter).square().mean()}


def settings(**changes):
    return LoopSettings(**{'steps': 30, 'learning_rate': 1e-2, 'warmup_steps': 5, 'log_every': 1, **changes})


def losses(folder):
    return [entry['loss'] for entry in read_log(folder) if 'loss' in entry]


def test_training_lowers_the_loss_and_gives_back_the_averages(tmp_path):
    model = network()
    trained = fit(model, squared_error, Numbers(), settings(steps=300, ema_decay=0.9), tmp_path)
    assert trained is model
    assert not model.training
    found = losses(tmp_path)
    assert sum(found[-20:]) < 0.1 * sum(found[:20])
    batch = Numbers()[10_000]
    with torch.no_grad():
        assert float(squared_error(model, batch, torch.Generator())['loss']) < 1.0


def test_the_average_of_the_weights_is_what_it_says(tmp_path):
    """One weight that falls by equal steps, so the average can be computed by hand."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    seen = []

    def loss(model, batch, generator):
        seen.append(float(model.weight.detach()))
        return {'loss': model(torch.ones(1, 1)).sum()}

    fit(model, loss, Numbers(), settings(steps=20, ema_decay=0.5, weight_decay=0.0), tmp_path)
    # seen[k] is the weight after k steps; the last weight is only in the average
    last = seen[-1] - 1e-2
    average = 0.0
    for step, weight in enumerate([*seen[1:], last]):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
    assert float(model.weight) == pytest.approx(average, rel=1e-3)


def test_a_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    fit(network(), squared_error, Numbers(), settings(gradient_accumulation=2), whole)
    one = network()
    fit(one, squared_error, Numbers(), settings(steps=11, gradient_accumulation=2), parts)
    two = network()
    fit(two, squared_error, Numbers(), settings(gradient_accumulation=2), parts)
    assert len(losses(whole)) == 30
    assert losses(whole) == losses(parts)


SCRIPT = """
import sys, time
from pathlib import Path
from tests.training.test_loop import Numbers, fit, network, settings, squared_error

def slow(model, batch, generator):
    time.sleep(0.05)
    return squared_error(model, batch, generator)

fit(network(), slow if sys.argv[2] == 'slow' else squared_error, Numbers(),
    settings(checkpoint_seconds=0.1, steps=60), Path(sys.argv[1]))
"""


def start(folder, pace):
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, '-c', SCRIPT, str(folder), pace], cwd=root)


def test_a_killed_training_sees_the_same_losses_as_one_that_lived(tmp_path):
    lived, killed = tmp_path / 'lived', tmp_path / 'killed'
    fit(network(), squared_error, Numbers(), settings(steps=60), lived)
    process = start(killed, 'slow')
    deadline = time.monotonic() + 120
    while not list(killed.glob('checkpoint-*.pt')) or len(losses(killed)) < 10:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(losses(killed)) < 60
    assert start(killed, 'fast').wait(timeout=120) == 0
    assert losses(killed) == losses(lived)
    assert [entry['step'] for entry in read_log(killed) if 'loss' in entry] == list(range(1, 61))


def test_only_two_checkpoints_are_kept_and_no_drafts(tmp_path):
    (tmp_path / '.0123456789abcdef.partial').write_bytes(b'of one that was killed')
    fit(network(), squared_error, Numbers(), settings(checkpoint_seconds=0), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert names == ['checkpoint-000000029.pt', 'checkpoint-000000030.pt', 'log.jsonl']


def test_variables_of_a_cluster_do_not_cost_the_checkpoints(tmp_path, monkeypatch):
    """Pods may set ``RANK`` and ``WORLD_SIZE`` even if only one process was launched."""
    monkeypatch.setenv('RANK', '1')
    fit(network(), squared_error, Numbers(), settings(), tmp_path)
    assert list(tmp_path.glob('checkpoint-*.pt'))


def test_unreadable_lines_of_the_log_are_removed(tmp_path):
    fit(network(), squared_error, Numbers(), settings(steps=3), tmp_path)
    with (tmp_path / 'log.jsonl').open('a') as file:
        file.write('\0\0\0\n[]\n{"step": 4, "lo')
    fit(network(), squared_error, Numbers(), settings(steps=5), tmp_path)
    assert [entry['step'] for entry in map(json.loads, (tmp_path / 'log.jsonl').open())] == [1, 2, 3, 4, 5]


def test_frozen_weights_stay_and_are_not_in_the_checkpoint(tmp_path):
    model = network()
    model[0].requires_grad_(False)
    before = model[0].weight.clone()
    fit(model, squared_error, Numbers(), settings(), tmp_path)
    assert torch.equal(model[0].weight, before)
    content = torch.load(tmp_path / 'checkpoint-000000030.pt', weights_only=True)
    assert set(content['model']) == {'3.weight', '3.bias'}


def test_another_network_is_refused(tmp_path):
    fit(network(), squared_error, Numbers(), settings(steps=2), tmp_path)
    with pytest.raises(CheckpointError, match='another network'):
        fit(nn.Linear(4, 1), squared_error, Numbers(), settings(steps=4), tmp_path)


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path):
    def broken(model, batch, generator):
        return {'loss': squared_error(model, batch, generator)['loss'] * float('inf')}

    with pytest.raises(DeviceError, match='Lower the rate'):
        fit(network(), broken, Numbers(), settings(), tmp_path)


@pytest.mark.parametrize('where', ['loss', 'gradient'])
def test_what_is_no_number_never_gets_into_a_checkpoint(tmp_path, where):
    """A loss or gradient that is NaN never changes a weight, even between two reports."""

    class Root(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float('nan')

    steps = []

    def breaking(model, batch, generator):
        steps.append(1)
        loss = squared_error(model, batch, generator)['loss']
        if len(steps) < 4:
            return {'loss': loss}
        return {'loss': loss * float('nan') if where == 'loss' else Root.apply(loss)}

    with pytest.raises(DeviceError, match='at step 3'):
        fit(network(), breaking, Numbers(), settings(log_every=10, checkpoint_seconds=0), tmp_path)
    content = torch.load(tmp_path / 'checkpoint-000000003.pt', weights_only=True)
    for part in ('model', 'average'):
        assert all(tensor.isfinite().all() for tensor in content[part].values())


def test_other_settings_do_not_go_on_but_a_longer_training_does(tmp_path):
    fit(network(), squared_error, Numbers(), settings(steps=2), tmp_path, identity={'data': 'a'})
    with pytest.raises(CheckpointError, match="'learning_rate' was 0.01 and is 0.5"):
        fit(network(), squared_error, Numbers(), settings(steps=4, learning_rate=0.5), tmp_path, identity={'data': 'a'})
    with pytest.raises(CheckpointError, match="'data' was 'a' and is 'b'"):
        fit(network(), squared_error, Numbers(), settings(steps=4), tmp_path, identity={'data': 'b'})
    fit(network(), squared_error, Numbers(), settings(steps=4, log_every=2), tmp_path, identity={'data': 'a'})
    assert [entry['step'] for entry in read_log(tmp_path)] == [1, 2, 4]


def test_fewer_steps_than_are_done_are_refused(tmp_path):
    fit(network(), squared_error, Numbers(), settings(steps=4), tmp_path)
    with pytest.raises(CheckpointError, match='is at step 4, past the 2 steps'):
        fit(network(), squared_error, Numbers(), settings(steps=2), tmp_path)
    assert [entry['step'] for entry in read_log(tmp_path)][-1] == 4


def test_a_cosine_that_would_end_elsewhere_does_not_go_on(tmp_path):
    fit(network(), squared_error, Numbers(), settings(steps=2, schedule='cosine'), tmp_path)
    with pytest.raises(CheckpointError, match="'steps' was 2 and is 4"):
        fit(network(), squared_error, Numbers(), settings(steps=4, schedule='cosine'), tmp_path)


def test_half_precision_is_refused_where_it_would_be_ignored(tmp_path):
    with pytest.raises(ConfigurationError, match="'bf16' or 'fp32' on the CPU, found 'fp16'"):
        fit(network(), squared_error, Numbers(), settings(precision='fp16'), tmp_path, cpu=True)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, caplog):
    whole = tmp_path / 'whole'
    fit(network(), squared_error, Numbers(), settings(steps=8), whole)
    parts = tmp_path / 'parts'
    fit(network(), squared_error, Numbers(), settings(steps=5, checkpoint_seconds=0), parts)
    newest = parts / 'checkpoint-000000005.pt'
    newest.write_bytes(newest.read_bytes()[:1000])
    fit(network(), squared_error, Numbers(), settings(steps=8), parts)
    assert losses(parts) == losses(whole)
    assert 'checkpoint-000000005.pt' in caplog.text
    for path in parts.glob('checkpoint-*.pt'):
        path.write_bytes(b'nothing')
    with pytest.raises(CheckpointError, match='No checkpoint in .* can be read'):
        fit(network(), squared_error, Numbers(), settings(steps=8), parts)


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError):
        fit(network(), squared_error, Numbers(), settings(), tmp_path / 'file' / 'training')


def test_workers_prepare_the_same_batches(tmp_path):
    for count in (0, 1):
        fit(network(), squared_error, Numbers(), settings(num_workers=count), tmp_path / str(count))
    assert losses(tmp_path / '0') == losses(tmp_path / '1')


def test_a_validation_that_failed_at_the_end_is_made_up_for(tmp_path):
    def failing(step, log):
        raise DeviceError('Out of memory')

    with pytest.raises(DeviceError):
        fit(network(), squared_error, Numbers(), settings(), tmp_path, validate=failing)
    seen = []

    def counting(step, log):
        seen.append(step)
        return {'x': 1.0}

    for _ in range(2):
        fit(network(), squared_error, Numbers(), settings(), tmp_path, validate=counting)
    assert seen == [30]
    assert len(losses(tmp_path)) == 30


def test_a_validation_that_an_interruption_left_out_is_made_up_for(tmp_path):
    def failing(step, log):
        raise DeviceError('Out of memory')

    wanted = settings(steps=10, validate_every=5, checkpoint_seconds=0)
    with pytest.raises(DeviceError):
        fit(network(), squared_error, Numbers(), wanted, tmp_path, validate=failing)
    seen = []
    fit(network(), squared_error, Numbers(), wanted, tmp_path, validate=lambda step, log: seen.append(step) or {})
    assert seen == [5, 10]


def test_the_global_random_state_is_left_alone(tmp_path):
    before = torch.get_rng_state()
    fit(network(), squared_error, Numbers(), settings(steps=3), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_validation_sees_the_averages(tmp_path):
    model, seen = network(), []

    def validate(step, log):
        seen.append((step, float(model[3].bias), model.training))
        return {'bias': seen[-1][1]}

    fit(model, squared_error, Numbers(), settings(validate_every=10), tmp_path, validate=validate)
    assert [step for step, *_ in seen] == [10, 20, 30]
    assert not any(training for *_, training in seen)
    assert float(model[3].bias) == pytest.approx(seen[-1][1])
    reported = [entry['validation/bias'] for entry in read_log(tmp_path) if 'validation/bias' in entry]
    assert reported == [bias for _, bias, _ in seen]


@pytest.mark.parametrize(
    ('change', 'word'),
    [
        ({'steps': 0}, 'steps'),
        ({'precision': 'fp8'}, 'precision'),
        ({'ema_decay': 1.0}, 'ema_decay'),
        ({'learning_rate': 0}, 'learning_rate'),
        ({'schedule': 'cosin'}, 'cosine'),
    ],
)
def test_impossible_settings_are_refused(change, word):
    with pytest.raises(ConfigurationError, match=word):
        LoopSettings(**change)


def test_the_rate_warms_up_and_falls():
    constant = LoopSettings(steps=100, learning_rate=1.0, warmup_steps=10)
    assert [constant.rate(step) for step in (0, 4, 9, 50, 99)] == pytest.approx([0.1, 0.5, 1, 1, 1])
    cosine = LoopSettings(steps=101, learning_rate=1.0, warmup_steps=0, schedule='cosine')
    assert [cosine.rate(step) for step in (0, 50, 100)] == pytest.approx([1, 0.505, 0.01])

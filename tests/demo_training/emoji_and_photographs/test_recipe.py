"""The parts of the recipe on a tiny world, and the whole recipe at a thousandth of its length."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from demo_training.emoji_and_photographs import latents
from demo_training.emoji_and_photographs.architecture import AUTOENCODER, CLIP, UNET
from demo_training.emoji_and_photographs.autoencoder import LOGVAR, decoder_loss, judged_pictures, train_linear
from demo_training.emoji_and_photographs.data import load_data
from demo_training.emoji_and_photographs.latents import Batches, Encoders, encoded_clips
from demo_training.emoji_and_photographs.linear import LinearAutoencoder, install
from demo_training.emoji_and_photographs.precision import fastest_precision
from demo_training.emoji_and_photographs.recipe import Recipe
from demo_training.emoji_and_photographs.rendering import camera, gradient, over, placement, view
from demo_training.emoji_and_photographs.stills import Stills
from demo_training.emoji_and_photographs.towers import NO_MOVE, CaptionedPictures, Trainee, towers_loss
from demo_training.emoji_and_photographs.unet import conditions, new_unet, objective
from demo_training.emoji_and_photographs.world import make_clip
from modelscope_i2v import load
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings
from tests.calls import VIDEO

ROW = torch.zeros(1)


def test_a_view_of_all_of_a_photograph_is_its_average_over_pairs_of_pixels():
    photograph = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    seen = view(photograph, camera(torch.zeros(1, 2), ROW + 1, ROW))
    assert torch.allclose(seen, torch.nn.functional.avg_pool2d(photograph, 2), atol=1e-5)


def test_a_sprite_covers_what_is_behind_as_far_as_it_is_opaque():
    sprite = torch.zeros(1, 4, 128, 128)
    sprite[:, 0, :, :64], sprite[:, 3, :, :64] = 1, 0.5
    drawn = over(sprite, placement(torch.tensor([[0.5, 0.5]]), ROW + 0.5, ROW), torch.full((1, 3, 128, 128), 0.2))
    # The sprite's left half lies in the third quarter from the left, and its right half is transparent.
    assert torch.allclose(drawn[0, :, 96, 80], torch.tensor([0.6, 0.1, 0.1]))
    assert torch.allclose(drawn[0, :, 96, 120], torch.tensor(0.2))
    assert torch.allclose(drawn[0, :, 32, 80], torch.tensor(0.2))


def test_a_gradient_goes_from_one_colour_to_the_other():
    drawn = gradient(torch.tensor([[0.0, 0, 0], [1, 1, 1]]), 0.0)
    assert torch.equal(drawn[:, :1].expand_as(drawn), drawn)
    assert (drawn[0, 0].diff() > 0).all()
    assert 0 < drawn.min() < drawn.max() < 1


def test_batches_of_stills_are_functions_of_their_number(tiny):
    batch = Stills(tiny)[3]
    assert batch.shape == (8, 3, 128, 128)
    assert -1 <= batch.min() < batch.max() <= 1
    assert torch.equal(Stills(tiny)[3], batch)
    assert torch.equal(Stills(tiny, first=2)[1], batch)
    assert torch.equal(Stills(tiny, 4)[6], batch[:4])
    smaller = Stills(tiny, side=64)[3]
    assert torch.equal(smaller, torch.nn.functional.avg_pool2d(batch, 2))


def test_the_autoencoder_starts_as_a_linear_one(tiny, tmp_path):
    network = train_linear(tiny, tmp_path, LoopSettings(steps=2, learning_rate=1e-3, warmup_steps=0), pool=8)
    x = Stills(tiny)[0][:2]
    with torch.no_grad():
        mean, logvar = network.encode(x)
        decoded = network.decode(mean)
        halves = network.decode(mean / 2), network.decode(torch.zeros_like(mean))
    assert mean.shape == (2, AUTOENCODER['embed_dim'], 16, 16)
    assert (logvar == LOGVAR).all()
    assert torch.allclose(halves[0], (decoded + halves[1]) / 2, atol=5e-3)
    assert 10 * torch.log10(4 / (decoded - x).square().mean()) > 16
    assert set(judged_pictures(tiny)) == {'emoji', 'photographs'}


def test_installing_and_balancing_change_nothing_that_is_seen(tiny):
    pictures = Stills(tiny)[0]
    linear = seeded(lambda: LinearAutoencoder(pictures), 0)
    before = linear(pictures).detach()
    linear.balance(pictures)
    assert torch.allclose(linear(pictures), before, atol=1e-4)
    sizes = linear.encode(pictures).detach().square().mean(dim=(0, 2, 3)).sqrt()
    # The square roots of what they were: first components are the largest by far.
    assert sizes[:4].min() > sizes[8:].max()
    network = AutoencoderKL(**AUTOENCODER).eval()
    install(linear, network)
    with torch.no_grad():
        mean, _ = network.encode(pictures)
        assert torch.allclose(mean, linear.encode(pictures), atol=1e-2)
        assert torch.allclose(network.decode(mean), before, atol=1e-2)


def test_the_decoder_sees_latents_that_are_a_little_off(tiny):
    x = Stills(tiny, side=64)[0]
    seen = []

    def perfect(x, noise):
        seen.append(noise)
        return x

    found = decoder_loss(perfect, x, torch.Generator().manual_seed(0), 0.5)
    assert found['loss'] == 0
    assert seen[0].shape == (8, AUTOENCODER['embed_dim'], 8, 8)
    assert 0 < seen[0].std(dim=(1, 2, 3)).min() < seen[0].std(dim=(1, 2, 3)).max() < 0.55

    def shifted(x, noise):
        return x + 0.1

    assert torch.allclose(decoder_loss(shifted, x, torch.Generator())['psnr'], torch.tensor(26.0206), atol=1e-3)


def test_the_precision_is_one_that_training_takes():
    assert fastest_precision() in ('bf16', 'fp32')


def test_towers_are_asked_for_names_and_moves(tiny):
    batch = CaptionedPictures(tiny, 0, 20)[0]
    assert batch['pixels'].shape == (20, 3, 64, 64)
    assert batch['names'].shape == batch['tokens'].shape == (20, CLIP['text_cfg']['context_length'])
    assert batch['moves'].max() <= NO_MOVE
    found = towers_loss(seeded(Trainee, 0), batch, torch.Generator())
    assert set(found) == {'loss', 'contrast', 'names_right', 'moves_right'}
    assert torch.isfinite(found['loss'])


@pytest.fixture(scope='module')
def encoders():
    return Encoders(seeded(lambda: AutoencoderKL(**AUTOENCODER), 0).eval(), seeded(Trainee, 0).towers.eval())


def test_clips_are_encoded_once_and_go_on_where_they_stopped(tiny, encoders, tmp_path, monkeypatch):
    monkeypatch.setattr(latents, 'CLIPS_A_FILE', 2)
    answers = iter([False, True])
    with pytest.raises(KeyboardInterrupt):
        encoded_clips(tmp_path, tiny, encoders, range(5, 9), 2, lambda: next(answers))
    first = (tmp_path / '5.safetensors').stat().st_mtime_ns
    pool = encoded_clips(tmp_path, tiny, encoders, range(5, 9), 2)
    assert (tmp_path / '5.safetensors').stat().st_mtime_ns == first
    assert pool['mean'].shape == (4, AUTOENCODER['embed_dim'], 2, 16, 16)
    clip = make_clip(tiny, 6, num_frames=2)
    with torch.no_grad():
        mean = encoders.autoencoder.encode(to_pixels(clip.frames))[0].transpose(0, 1)
        text = encoders.text_features([clip.text])
    assert torch.allclose(pool['mean'][1].float(), mean, atol=2e-3)
    assert torch.allclose(pool['condition'][1, :, : text.shape[1]].float(), text, atol=2e-3)
    with pytest.raises(ConfigurationError, match='made from other weights'):
        encoded_clips(tmp_path, tiny, encoders, range(5, 9), 3)


def test_some_frames_of_a_clip_are_those_of_the_whole_one(tiny, encoders, tmp_path):
    whole = encoded_clips(tmp_path / 'whole', tiny, encoders, range(2), 8)
    some = encoded_clips(tmp_path / 'some', tiny, encoders, range(2), 8, kept=3)
    assert some['mean'].shape == (2, AUTOENCODER['embed_dim'], 3, 16, 16)
    for clip, mean, numbers in zip(whole['mean'], some['mean'], some['numbers'], strict=True):
        first, second, third = numbers.tolist()
        assert 0 == first < second < third < 8
        assert torch.allclose(clip[:, numbers].float(), mean.float(), atol=2e-3)
    with pytest.raises(ConfigurationError, match='made from other weights'):
        encoded_clips(tmp_path / 'some', tiny, encoders, range(2), 8, kept=4)


def test_the_unet_is_given_text_embedding_and_first_frame(tiny, encoders, tmp_path):
    pool = encoded_clips(tmp_path, tiny, encoders, range(3), 2)
    batch = Batches(pool, 2)[0]
    clean = batch['mean']
    text, embedding, first = conditions(batch['condition'], clean)
    assert text.shape == (2, CLIP['text_cfg']['context_length'], UNET['context_dim'])
    assert embedding.shape == (2, 1, CLIP['embed_dim'])
    assert torch.equal(first, clean[:, :, 0])
    loss = objective(encoders.unconditional(), 1.0)
    found = loss(new_unet(), batch, torch.Generator())
    assert torch.isfinite(found['loss'])
    assert loss.identity['scale_factor'] == 0.6


def command(folder):
    return [sys.executable, '-m', 'demo_training.emoji_and_photographs', str(folder), '--scale', '0.001']


@pytest.mark.slow
def test_one_command_makes_the_model_and_goes_on_where_it_was_stopped(tiny, tmp_path):
    """From decoded data, because no package registry may be there."""
    names = sorted(['1f428', '1f431', '1f435'])
    (tmp_path / 'emoji.json').write_text(json.dumps({'names': names, 'starts': [0, 3, 6, 9]}))
    np.save(tmp_path / 'emoji.npy', tiny.emoji.frames)
    (tmp_path / 'photographs.json').write_text(json.dumps(tiny.photographs.names))
    np.save(tmp_path / 'photographs.npy', tiny.photographs.crops)
    for name, names_of, small in (
        ('emoji-256', {'names': names, 'starts': [0, 3, 6, 9]}, tiny.emoji.frames),
        ('photographs-512', tiny.photographs.names, tiny.photographs.crops),
    ):
        (tmp_path / f'{name}.json').write_text(json.dumps(names_of))
        np.save(tmp_path / f'{name}.npy', small.repeat(2, axis=1).repeat(2, axis=2))
    held_out = load_data(tmp_path, held_out=True)
    assert (held_out.emoji_indices, held_out.crop_indices) == ((0,), (3,))
    first = subprocess.Popen(command(tmp_path), stderr=subprocess.PIPE, text=True)
    while not (tmp_path / 'autoencoder.safetensors').exists():
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGTERM)
    assert 'run the same command' in first.communicate()[1]
    assert first.returncode == 130
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'training autoencoder' not in done.stderr
    assert 'training unet-8' in done.stderr
    weights = {path: path.read_bytes() for path in (tmp_path / 'model').glob('*.safetensors')}
    assert sum(map(len, weights.values())) < 30_000_000
    video = load(tmp_path / 'model', device='cpu', show_progress=False)(
        {'image': np.zeros((40, 40, 3), np.uint8), 'text': 'zoom in'}, output_type='np', steps=1, num_frames=3
    )[VIDEO]
    assert video.shape == (3, 128, 128, 3)
    weights |= {path: path.read_bytes() for path in (tmp_path / 'model-2').glob('*.safetensors')}
    sharp = load(tmp_path / 'model-2', device='cpu', show_progress=False)(video, output_type='np', num_frames=2)[VIDEO]
    assert sharp.shape == (2, 256, 256, 3)
    again = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert 'training' not in again.stderr
    assert {path: path.read_bytes() for path in tmp_path.glob('model*/*.safetensors')} == weights
    Path(tmp_path / 'unet-8.safetensors').unlink()
    with pytest.raises(ConfigurationError):
        Recipe(tmp_path, 0.002).unet  # noqa: B018 - made when it is first asked for

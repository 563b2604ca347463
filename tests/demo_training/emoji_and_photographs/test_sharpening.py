"""Stage 2: what it learns from, its linear autoencoder, and its loss."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.emoji import decode_clip
from demo_training.emoji_and_photographs.photographs import crops_of
from demo_training.emoji_and_photographs.scenes import draw_scene
from demo_training.emoji_and_photographs.sharpening.architecture import AUTOENCODER, UNET
from demo_training.emoji_and_photographs.sharpening.drawing import degraded, draw_frames, enlarged, halved
from demo_training.emoji_and_photographs.sharpening.large_data import decode_large_clip, large_crops_of
from demo_training.emoji_and_photographs.sharpening.linear import LinearAutoencoder, install
from demo_training.emoji_and_photographs.sharpening.unet import Regression, new_unet
from demo_training.emoji_and_photographs.world import render
from modelscope_i2v.networks import AutoencoderKL
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.loop.seeding import seeded
from tests.demo_training.emoji_and_photographs.test_emoji import webp


def large(tiny: Data) -> Data:
    """The tiny world with pictures of twice the size."""
    frames, crops = (array.repeat(2, axis=1).repeat(2, axis=2) for array in (tiny.emoji.frames, tiny.photographs.crops))
    emoji = dataclasses.replace(tiny.emoji, frames=frames)
    return dataclasses.replace(
        tiny, emoji=emoji, photographs=dataclasses.replace(tiny.photographs, crops=crops)
    )  # fmt: skip


@pytest.mark.parametrize('move', ['zoom in', 'rotate left', 'spin', 'animated'])
def test_a_large_clip_shows_what_the_small_one_does(tiny, move):
    scene = draw_scene(tiny, np.random.default_rng(2), move, emoji=True)
    frames = draw_frames(large(tiny), scene, 3)
    assert frames.shape == (3, 3, 256, 256)
    difference = halved(frames) - to_pixels(render(tiny, scene, 3).frames)
    assert difference.abs().mean() < 0.02
    # A picture that is off by one pixel differs by much more.
    assert (halved(frames.roll(2, dims=-1)) - halved(frames)).abs().mean() > 0.03


@pytest.mark.parametrize(('count', 'milliseconds'), [(72, 42), (72, 100), (24, 42), (30, 41)])
def test_large_emoji_have_the_frames_of_small_ones(count, milliseconds):
    small = decode_clip(webp(count, milliseconds))
    found = decode_large_clip(webp(count, milliseconds), 32)
    assert found.shape == (len(small), 256, 256, 4)
    assert np.array_equal(found[:, 128, 128], small[:, 64, 64])
    assert np.array_equal(decode_large_clip(webp(count, milliseconds), 4), found[:4])
    assert decode_large_clip(webp(23), 32) is None


def test_large_crops_are_the_small_ones():
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, size=(30, 40, 3), dtype=np.uint8))
    picture = coarse.resize((1200, 900), Image.Resampling.BICUBIC)
    small, found = list(crops_of(picture)), list(large_crops_of(picture))
    assert len(found) == len(small)
    for one, other in zip(small, found, strict=True):
        assert other.shape == (512, 512, 3)
        halves = other.reshape(256, 2, 256, 2, 3).mean(axis=(1, 3))
        assert np.abs(halves - one).mean() < 2


def test_sources_are_functions_of_their_random_numbers_and_of_stage_1(tiny):
    frames = draw_frames(large(tiny), draw_scene(tiny, np.random.default_rng(2), emoji=False), 1)
    stage_1 = AutoencoderKL(z_channels=8, embed_dim=8, channels=8, channel_mult=[1, 1, 1, 1], norm_num_groups=2)
    sources = [degraded(frames, np.random.default_rng(seed), stage_1) for seed in range(12)]
    assert {source.shape for source in sources} == {frames.shape}
    plain = [torch.equal(source, enlarged(halved(frames))) for source in sources]
    assert 3 <= sum(plain) <= 9
    assert torch.equal(degraded(frames, np.random.default_rng(3), stage_1), sources[3])


def test_pictures_are_enlarged_as_in_the_preprocessor():
    # Three quarters of the nearest pixel and one of the next.
    found = enlarged(torch.tensor([[[[0.0, 4.0]]]]))
    assert torch.equal(found, torch.tensor([0.0, 1.0, 3.0, 4.0]).expand(1, 1, 2, 4))


@pytest.fixture(scope='module')
def linear():
    network = LinearAutoencoder()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    return network


def test_a_linear_autoencoder_starts_as_a_blur():
    picture = torch.zeros(1, 3, 32, 32)
    picture[:, :, 15, 15] = 16
    network = LinearAutoencoder()
    found = network.decode(network.encode(picture)).detach()
    assert torch.allclose(found.sum(dim=(2, 3)), torch.tensor(16.0), atol=1e-2)
    grey = torch.full((1, 3, 32, 32), 0.3)
    assert torch.allclose(network(grey)[..., 8:-8, 8:-8], torch.tensor(0.3), atol=1e-4)


@torch.no_grad()
def test_an_autoencoder_can_be_linear(linear):
    autoencoder = seeded(lambda: AutoencoderKL(**AUTOENCODER), 0)
    install(linear, autoencoder)
    pictures = 2 * torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(1)) - 1
    mean, _ = autoencoder.encode(pictures)
    assert torch.allclose(mean, linear.encode(pictures), atol=0.01)
    assert torch.allclose(autoencoder.decode(mean), linear.decode(mean), atol=0.01)


def test_the_loss_counts_what_is_gained_over_the_source():
    generator = torch.Generator().manual_seed(0)
    shape = (4, AUTOENCODER['embed_dim'], 1, 8, 8)
    clean = torch.randn(shape, generator=generator)
    batch = {
        'mean': clean,
        'source': clean + 0.5 * torch.randn(shape, generator=generator),
        'condition': torch.zeros(4, 32, UNET['context_dim']),
    }
    loss = Regression(torch.zeros(32, UNET['context_dim']), 1.0)
    untrained = loss(new_unet(), batch, torch.Generator().manual_seed(0))
    # It leaves the source as it is; at a quarter of the levels, a part of the difference is gone already.
    assert -0.01 < untrained['gain'] < 3
    assert torch.isfinite(untrained['loss'])

    def perfect(x, t, text):
        noisy = schedule.sigmas_vp[t].view(-1, 1, 1, 1, 1)
        signal = schedule.alphas[t].view(-1, 1, 1, 1, 1)
        return (signal * x - clean) / noisy

    schedule = loss.schedule
    assert loss(perfect, batch, torch.Generator().manual_seed(0))['loss'] < 1e-3

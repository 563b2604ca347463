"""Single frames of clips: what the UNet is given for them is what it is given for whole clips."""

import pytest
import torch

from demo_training.emoji_and_photographs.architecture import AUTOENCODER, CLIP, UNET
from demo_training.emoji_and_photographs.single_frames import PHASES, BatchesOfFrames, FramesApart, train_single_frames
from demo_training.emoji_and_photographs.unet import conditions, new_unet, objective
from demo_training.temporal import set_temporal_layers
from modelscope_i2v.training.loop.settings import LoopSettings

FRAMES, SIDE = 16, 8
TEXT = CLIP['text_cfg']['context_length'] * UNET['context_dim']


@pytest.fixture(scope='module')
def pool():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(4, AUTOENCODER['embed_dim'], FRAMES, SIDE, SIDE, generator=generator)
    return {'mean': mean, 'condition': torch.randn(4, 1, TEXT + CLIP['embed_dim'], generator=generator)}


@pytest.fixture(scope='module')
def frames(pool):
    """A pool of three frames of each clip."""
    numbers = torch.tensor([[0, 3, 15], [0, 1, 2], [0, 7, 8], [0, 14, 15]])
    mean = torch.stack([clip[:, chosen] for clip, chosen in zip(pool['mean'], numbers, strict=True)])
    return {**pool, 'mean': mean, 'numbers': numbers}


def test_frames_are_drawn_as_in_a_clip_whose_frames_do_not_see_each_other(pool):
    unet = new_unet().eval()
    set_temporal_layers(unet, False)
    x, t, fps = pool['mean'][:2], torch.tensor([10, 700]), torch.full((2,), 8.0)
    text, embedding = (
        pool['condition'][:2, :, :TEXT].reshape(2, -1, UNET['context_dim']),
        pool['condition'][:2, :, TEXT:],
    )
    numbers = torch.tensor([[0, 3, 5], [0, 15, 4]])

    def chosen(clips):
        return torch.stack([clip[:, frames] for clip, frames in zip(clips, numbers, strict=True)])

    rate_and_numbers = torch.cat([fps.unsqueeze(1), numbers.float()], dim=1)
    with torch.no_grad():
        whole = unet(x, t, text, embedding, x[:, :, 0], fps)
        found = FramesApart(unet)(chosen(x), t, text, embedding, x[:, :, 0], rate_and_numbers)
    assert torch.allclose(found, chosen(whole), atol=1e-5)
    assert not torch.allclose(found[:, :, 1], whole[:, :, 1], atol=1e-2)


def test_a_batch_says_which_frames_of_a_clip_it_holds(pool, frames):
    batch = BatchesOfFrames(frames, 3)[5]
    assert batch['mean'].shape == (3, UNET['in_channels'], 3, SIDE, SIDE)
    assert batch['fps'][:, 0].tolist() == [8.0] * 3
    for mean, numbers in zip(batch['mean'], batch['fps'][:, 1:].long(), strict=True):
        (clip,) = [clip for clip in pool['mean'] if torch.equal(clip[:, 0], mean[:, 0])]
        assert torch.equal(clip[:, numbers], mean)


def test_frames_stay_apart_while_single_ones_are_learnt(frames, tmp_path):
    unet = new_unet()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    loss = objective(torch.zeros(1, TEXT + CLIP['embed_dim']), 1.0)
    train_single_frames(
        PHASES[0], loss, unet, frames, tmp_path, LoopSettings(steps=2, learning_rate=1e-3, warmup_steps=0)
    )
    changed = {name for name, value in unet.state_dict().items() if not torch.equal(value, before[name])}
    assert any('spatial' in name for name in changed)
    assert not any('temporal' in name or name.startswith('concat_encoder') for name in changed)


def test_phases_change_the_loss_as_they_say():
    loss = objective(torch.zeros(1, TEXT + CLIP['embed_dim']), 1.0)
    first, last = PHASES[0].loss(loss), PHASES[-1].loss(loss)
    assert (first.motion_weight, first.pooling, first.conditioning_dropout) == (0, loss.pooling, 0.1)
    assert (last.motion_weight, last.pooling, last.conditioning_dropout) == (0, (), 0)


def test_a_unet_for_one_step_is_blind_to_noise(frames):
    unet = new_unet().eval().requires_grad_(False)
    noise = torch.randn(2, 1, UNET['in_channels'], 3, SIDE, SIDE)
    batch = frames['mean'][:1].float(), frames['condition'][:1].float()
    rate_and_numbers = torch.tensor([[8.0, 0, 7, 15]])

    def found():
        given = conditions(batch[1], batch[0])
        return [FramesApart(unet)(x, torch.tensor([999]), *given, rate_and_numbers) for x in noise]

    assert not torch.equal(*found())
    PHASES[-1].blind(unet)
    assert torch.equal(*found())


def test_training_for_one_step_leaves_it_blind(frames, tmp_path):
    unet, settings = new_unet(), LoopSettings(steps=2, learning_rate=1e-3, warmup_steps=0)
    loss = objective(torch.zeros(1, TEXT + CLIP['embed_dim']), 1.0)
    train_single_frames(PHASES[-1], loss, unet, frames, tmp_path, settings)
    noise, concatenated = unet.conv_in.weight.split(UNET['in_channels'], dim=1)
    assert not noise.any()
    assert concatenated.any()

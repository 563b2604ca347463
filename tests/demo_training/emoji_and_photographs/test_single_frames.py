"""Single frames of clips: what the UNet is given for them is what it is given for whole clips."""

import pytest
import torch

from demo_training.emoji_and_photographs.architecture import CLIP, UNET
from demo_training.emoji_and_photographs.single_frames import (
    FirstAndAnother,
    PairsOfFrames,
    train_single_frames,
)
from demo_training.emoji_and_photographs.unet import new_unet, objective
from demo_training.temporal import set_temporal_layers
from modelscope_i2v.training.loop.settings import LoopSettings

FRAMES, SIDE = 16, 8
TEXT = CLIP['text_cfg']['context_length'] * UNET['context_dim']


@pytest.fixture(scope='module')
def pool():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(4, 8, FRAMES, SIDE, SIDE, generator=generator)
    return {'mean': mean, 'condition': torch.randn(4, 1, TEXT + CLIP['embed_dim'], generator=generator)}


def test_a_pair_is_drawn_as_in_a_clip_whose_frames_do_not_see_each_other(pool):
    unet = new_unet().eval()
    set_temporal_layers(unet, False)
    x, t, fps = pool['mean'][:2], torch.tensor([10, 700]), torch.full((2,), 8.0)
    text, embedding = (
        pool['condition'][:2, :, :TEXT].reshape(2, -1, UNET['context_dim']),
        pool['condition'][:2, :, TEXT:],
    )
    number = torch.tensor([3, 15])
    pair = torch.stack([x[:, :, 0], x[torch.arange(2), :, number]], dim=2)
    with torch.no_grad():
        whole = unet(x, t, text, embedding, x[:, :, 0], fps)
        found = FirstAndAnother(unet)(pair, t, text, embedding, x[:, :, 0], torch.stack([fps, number.float()], dim=1))
    assert torch.allclose(found[:, :, 0], whole[:, :, 0], atol=1e-5)
    assert torch.allclose(found[:, :, 1], whole[torch.arange(2), :, number], atol=1e-5)
    assert not torch.allclose(found[:, :, 1], whole[:, :, 1], atol=1e-2)


def test_pairs_begin_with_the_first_frame_and_say_which_the_other_one_is(pool):
    batch = PairsOfFrames(pool, 3)[5]
    assert batch['mean'].shape == (3, 8, 2, SIDE, SIDE)
    rates, numbers = batch['fps'].unbind(1)
    assert rates.tolist() == [8.0] * 3
    assert all(1 <= number < FRAMES for number in numbers)
    for pair, number in zip(batch['mean'], numbers.long(), strict=True):
        (clip,) = [clip for clip in pool['mean'] if torch.equal(clip[:, 0], pair[:, 0])]
        assert torch.equal(clip[:, number], pair[:, 1])


def test_frames_stay_apart_while_single_ones_are_learnt(pool, tmp_path):
    unet = new_unet()
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    loss = objective(torch.zeros(1, TEXT + CLIP['embed_dim']), 1.0)
    train_single_frames(loss, unet, pool, tmp_path, LoopSettings(steps=2, learning_rate=1e-3, warmup_steps=0))
    changed = {name for name, value in unet.state_dict().items() if not torch.equal(value, before[name])}
    assert any('spatial' in name for name in changed)
    assert not any('temporal' in name or name.startswith('concat_encoder') for name in changed)

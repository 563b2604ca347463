"""Teaching the encoder of the first frame: closed forms of the loss, and that training lowers it."""

import copy

import torch

from demo_training.emoji_and_photographs.architecture import UNET
from demo_training.emoji_and_photographs.first_frame import (
    POSITION,
    SameInAllFrames,
    train_first_frame,
    unseen_direction,
)
from demo_training.emoji_and_photographs.unet import new_unet
from modelscope_i2v.training.loop.settings import LoopSettings

CHANNELS = UNET['in_channels']
PICTURES = torch.randn(8, CHANNELS, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def encoder(later, position=0.0):
    """Repeats the picture in all frames, ``later`` times as strong after the first, and adds a rising value."""

    def encode(picture, num_frames):
        factor = torch.tensor([1.0] + [later] * (num_frames - 1)).view(1, 1, -1, 1, 1)
        passed = torch.linspace(0, 1, num_frames).view(1, 1, -1, 1, 1)
        return factor * picture.unsqueeze(2) + position * passed

    return encode


def losses(found, position=0.0):
    loss = SameInAllFrames(encoder(1.0), 0.5, torch.full((CHANNELS,), position))
    generator = torch.Generator().manual_seed(1)
    return [float(loss(found, {'mean': PICTURES}, generator)['loss']) for _ in range(20)]


def test_an_encoder_that_repeats_the_first_frame_is_perfect():
    assert losses(encoder(1.0)) == [0.0] * 20
    assert max(losses(encoder(1.0, 0.25), 0.25)) < 1e-12
    assert max(losses(encoder(1.0, 0.25), -0.25)) > 1e-2


def test_frames_without_the_picture_cost_its_variance_however_many_they_are():
    power = float(PICTURES.square().mean() / PICTURES.var())
    found = losses(encoder(0.0))
    assert all(value == 0 or abs(value - power) < 1e-5 for value in found)
    assert 0 < found.count(0.0) < len(found)  # clips of one frame have no later ones


def test_the_position_is_written_where_the_first_layer_sees_least():
    unet = new_unet()
    with torch.no_grad():
        unet.conv_in.weight[:, CHANNELS + 3] = 0
    assert torch.allclose(unseen_direction(unet).abs(), torch.eye(CHANNELS)[3], atol=1e-5)


def test_training_changes_the_encoder_alone_and_lowers_its_error(tmp_path):
    unet = new_unet()
    before = copy.deepcopy(unet.state_dict())
    teacher = copy.deepcopy(unet.concat_encoder)
    pool = {'mean': PICTURES, 'condition': torch.zeros(8, 1, 4)}
    settings = LoopSettings(steps=60, learning_rate=3e-3, warmup_steps=10, weight_decay=0, ema_decay=0.9)

    def error():
        with torch.no_grad():
            expected = teacher(PICTURES[:, :, 0], 1)[:, :, 0] + POSITION * unseen_direction(unet).view(-1, 1, 1)
            return float((unet.concat_encoder(PICTURES[:, :, 0], 4)[:, :, -1] - expected).square().mean())

    first = error()
    train_first_frame(1.0, unet, pool, tmp_path, settings)
    assert error() < first / 2
    changed = {name for name, value in unet.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith('concat_encoder.') for name in changed)

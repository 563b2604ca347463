"""Teaching the encoder of the first frame: closed forms of the loss, and that training lowers it."""

import copy

import torch

from demo_training.emoji_and_photographs.first_frame import SameInAllFrames, train_first_frame
from demo_training.emoji_and_photographs.unet import new_unet
from modelscope_i2v.training.loop.settings import LoopSettings

PICTURES = torch.randn(8, 8, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def encoder(later):
    """Repeats the picture in all frames, ``later`` times as strong after the first."""

    def encode(picture, num_frames):
        factor = torch.tensor([1.0] + [later] * (num_frames - 1)).view(1, 1, -1, 1, 1)
        return factor * picture.unsqueeze(2)

    return encode


def losses(later, tries=20):
    loss, generator = SameInAllFrames(encoder(1.0), 0.5), torch.Generator().manual_seed(1)
    return [float(loss(encoder(later), {'mean': PICTURES}, generator)['loss']) for _ in range(tries)]


def test_an_encoder_that_repeats_the_first_frame_is_perfect():
    assert losses(1.0) == [0.0] * 20


def test_frames_without_the_picture_cost_its_variance_however_many_they_are():
    power = float(PICTURES.square().mean() / PICTURES.var())
    found = losses(0.0)
    assert all(value == 0 or abs(value - power) < 1e-5 for value in found)
    assert 0 < found.count(0.0) < len(found)  # clips of one frame have no later ones


def test_training_changes_the_encoder_alone_and_lowers_its_error(tmp_path):
    unet = new_unet()
    before = copy.deepcopy(unet.state_dict())
    teacher = copy.deepcopy(unet.concat_encoder)
    pool = {'mean': PICTURES, 'condition': torch.zeros(8, 1, 4)}
    settings = LoopSettings(steps=60, learning_rate=3e-3, warmup_steps=10, weight_decay=0, ema_decay=0.9)

    def error():
        with torch.no_grad():
            expected = teacher(PICTURES[:, :, 0], 1)
            return float((unet.concat_encoder(PICTURES[:, :, 0], 4)[:, :, 1:] - expected).square().mean())

    first = error()
    train_first_frame(1.0, unet, pool, tmp_path, settings)
    assert error() < first / 2
    changed = {name for name, value in unet.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith('concat_encoder.') for name in changed)

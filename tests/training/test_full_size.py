"""One training step of the full-size networks on the meta device: checks shapes and memory, computes nothing."""

import pytest
import torch

from benchmarks.training_memory import training_step
from modelscope_i2v.training.lora import LoraSettings
from modelscope_i2v.weights.lora.layers import lora_shapes

GIB = 2**30
#: Frames, height and width; latent heights of stage 2 are 2 more than a multiple of 8.
SIZES = {'image-to-video': (16, 256, 448), 'video-to-video': (8, 272, 448)}
RANK = 16

pytestmark = pytest.mark.slow


def check_gradients(step):
    for name, parameter in step.unet.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.shape == parameter.shape, name
            assert parameter.grad.dtype == torch.float32, name
        else:
            assert parameter.grad is None, name


@pytest.mark.parametrize('stage', SIZES)
def test_a_lora_step(stage):
    plain, saving = (
        training_step(stage, LoraSettings(rank=RANK), *SIZES[stage], checkpointing=flag) for flag in (False, True)
    )
    for step in (plain, saving):
        check_gradients(step)
        names = [name for name, parameter in step.unet.named_parameters() if parameter.requires_grad]
        assert all('.lora_A.' in name or '.lora_B.' in name for name in names)
        assert 2.5 * GIB < step.weights < 3.2 * GIB  # 1.4 billion in bfloat16
    unet = plain.unet
    shapes = lora_shapes(unet, LoraSettings().layers, RANK)
    assert plain.trained == saving.trained == sum(shape.numel() for shape in map(torch.Size, shapes.values()))
    assert saving.peak < plain.peak / 4


@pytest.mark.parametrize('stage', SIZES)
def test_a_step_of_all_weights(stage):
    plain, saving = (training_step(stage, None, *SIZES[stage], checkpointing=flag) for flag in (False, True))
    for step in (plain, saving):
        check_gradients(step)
        assert step.weights == 4 * step.trained  # nothing is frozen
        assert step.peak > step.weights  # gradients alone are as large
    activations, less = plain.peak - plain.weights, saving.peak - saving.weights
    assert less < activations / 3

"""Tensors of odd kinds: sparse, nested, without data, or of element types that torch can hardly compute with."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch._subclasses.fake_tensor import FakeTensorMode

import modelscope_i2v
from modelscope_i2v.errors import CheckpointError, InputError
from modelscope_i2v.media import load_image, open_video
from modelscope_i2v.metrics.frames import as_frames
from modelscope_i2v.weights import load_weights
from modelscope_i2v.weights.lora.apply import read_lora
from tests.lora_files import write_lora

pytestmark = pytest.mark.filterwarnings('ignore')
FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e8m0fnu]


def fake(like):
    with FakeTensorMode() as mode:
        return mode.from_tensor(like)


ODD = {
    'sparse': lambda like: like.to_sparse(),
    'nested': lambda like: torch.nested.nested_tensor([like, like]),
    'jagged': lambda like: torch.nested.nested_tensor([like[0]], layout=torch.jagged),
    'meta': lambda like: like.to('meta'),
    'fake': fake,
    'float8': lambda like: like.to(torch.float8_e4m3fn),
    'float8 for scales': lambda like: like.to(torch.float8_e8m0fnu),
    'float4': lambda like: torch.empty(like.shape, dtype=torch.float4_e2m1fn_x2),
}
ODDLY = pytest.mark.parametrize('odd', ODD.values(), ids=ODD)


@ODDLY
def test_pictures(odd):
    with pytest.raises(InputError, match='tensor'):
        load_image(odd(torch.rand(3, 8, 8)))


@ODDLY
def test_videos(odd):
    with pytest.raises(InputError, match='tensor'):
        open_video(odd(torch.rand(2, 8, 8, 3)))


@pytest.mark.parametrize('odd', ['sparse', 'nested', 'meta', 'fake'])
def test_whole_numbers(odd):
    pixels = torch.ones(2, 8, 8, 3, dtype=torch.uint8)
    with pytest.raises(InputError, match='tensor'):
        open_video(ODD[odd](pixels))
    with pytest.raises(InputError, match='tensor'):
        as_frames(ODD[odd](pixels))


@ODDLY
def test_latents(stage_1, odd):
    with pytest.raises(InputError, match="'latents' must be"):
        stage_1(np.zeros((8, 8, 3), np.uint8), latents=odd(torch.rand(1, 4, 3, 8, 8)))


@ODDLY
def test_latents_from_a_callback(stage_1, odd):
    with pytest.raises(InputError, match="'callback_on_step_end' must"):
        stage_1(
            np.zeros((8, 8, 3), np.uint8),
            callback_on_step_end=lambda pipe, index, t, values: {'latents': odd(values['latents'])},
        )


@ODDLY
def test_metrics(odd):
    with pytest.raises(InputError, match='tensor'):
        as_frames(odd(torch.rand(2, 3, 8, 8)))


def test_frames_in_arrays():
    for array in (np.zeros((1, 2, 2, 3), object), np.zeros((1, 3, 2, 2), np.complex64), np.zeros((1, 2, 2, 3), 'U1')):
        with pytest.raises(InputError, match='Frames must be'):
            as_frames(array)
    ramp = np.linspace(0, 1, 24, dtype='>f4').reshape(2, 3, 2, 2)
    assert torch.equal(as_frames(ramp[::-1]), torch.from_numpy(ramp[::-1].astype('<f4')))


@pytest.mark.parametrize('odd', ['sparse', 'nested', 'meta', 'fake', 'float8 for scales', 'float4'])
def test_weights(stage_1, odd):
    weights = dict(stage_1.model.unet.state_dict())
    name = next(iter(weights))
    weights[name] = ODD[odd](weights[name])
    with pytest.raises(CheckpointError, match='only dense ones'):
        load_weights(stage_1.model.unet, weights)


@pytest.mark.parametrize('dtype', [*FLOAT8, torch.int8, torch.bool, torch.complex64, torch.float4_e2m1fn_x2], ids=str)
def test_lora_files(stage_1, stage_1_folder, tmp_path, dtype):
    path = write_lora(stage_1.model.unet, tmp_path / 'a.safetensors')
    _with_dtype(path, dtype)
    with pytest.raises(CheckpointError, match='a.safetensors'):
        read_lora(stage_1.model.unet, path, key='image-to-video')
    with pytest.raises(CheckpointError, match='a.safetensors'):
        modelscope_i2v.load(stage_1_folder, device='cpu', lora=path, show_progress=False)


def _with_dtype(path, dtype):
    """Write the LoRA file again with other element types."""
    from safetensors import safe_open

    with safe_open(path, 'pt') as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    if dtype == torch.float4_e2m1fn_x2:
        changed = {name: torch.zeros(tensor.shape, dtype=torch.uint8).view(dtype) for name, tensor in tensors.items()}
    else:
        changed = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    save_file(changed, path, metadata)

import pytest
import torch
from safetensors.torch import save_file

from modelscope_i2v.errors import CheckpointError
from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder, ImageToVideoUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from tests.golden import AUTOENCODER_MICRO, CLIP_TINY, UNET_MICRO, checkpoint_like

CLASSES = {'unet_i2v_micro': (ImageToVideoUNet, UNET_MICRO), 'autoencoder_micro': (AutoencoderKL, AUTOENCODER_MICRO)}


def fresh(name='autoencoder_micro'):
    kind, parameters = CLASSES[name]
    return build_on_meta(lambda: kind(**parameters))


def checkpoint(name='autoencoder_micro'):
    return checkpoint_like(fresh(name), name)


def equal(network, other):
    left, right = network.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize('name', CLASSES)
@pytest.mark.parametrize('suffix', ['pth', 'ckpt', 'bin', 'safetensors', 'legacy.pth'])
def test_every_format_gives_the_same_network(tmp_path, name, suffix):
    weights = checkpoint(name)
    path = tmp_path / f'weights.{suffix}'
    if suffix == 'safetensors':
        save_file(weights, path)
    else:
        torch.save({'state_dict': weights}, path, _use_new_zipfile_serialization='legacy' not in suffix)
    expected = load_weights(fresh(name), weights)
    assert equal(load_weights(fresh(name), path), expected)
    assert equal(load_weights(fresh(name), str(path)), expected)


@pytest.mark.parametrize('name', CLASSES)
def test_own_names_round_trip(tmp_path, name):
    network = load_weights(fresh(name), checkpoint(name))
    save_file(network.state_dict(), tmp_path / 'own.safetensors')
    assert equal(load_weights(fresh(name), tmp_path / 'own.safetensors'), network)


def test_a_whole_stable_diffusion_file_gives_its_autoencoder():
    weights = checkpoint()
    whole = {f'first_stage_model.{key}': tensor for key, tensor in weights.items()}
    whole['model.diffusion_model.out.2.bias'] = whole['cond_stage_model.ln_final.weight'] = torch.ones(1)
    whole = {'state_dict': whole, 'epoch': 3}
    assert equal(load_weights(fresh(), whole), load_weights(fresh(), weights))


def test_module_prefix_is_cut():
    weights = {f'module.{key}': tensor for key, tensor in checkpoint().items()}
    assert equal(load_weights(fresh(), weights), load_weights(fresh(), checkpoint()))


@pytest.mark.parametrize('stored', [torch.float16, torch.float32, torch.bfloat16])
@pytest.mark.parametrize('dtype', [None, torch.float32, torch.float16])
def test_floats_are_cast_whatever_the_file_holds(stored, dtype):
    weights = {key: tensor.to(stored) for key, tensor in checkpoint().items()}
    network = load_weights(fresh(), weights, dtype=dtype)
    assert {tensor.dtype for tensor in network.state_dict().values()} == {dtype or torch.float32}


def test_weights_are_assigned_not_copied():
    weights = checkpoint('unet_i2v_micro')
    network = load_weights(fresh('unet_i2v_micro'), weights)
    assert network.conv_in.weight.data_ptr() == weights['input_blocks.0.0.weight'].data_ptr()


def test_a_network_on_the_cpu_can_be_loaded_too():
    network = AutoencoderKL(**AUTOENCODER_MICRO).train()
    assert equal(load_weights(network, checkpoint()), load_weights(fresh(), checkpoint()))
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_all_problems_are_named_at_once_and_nothing_changes(tmp_path):
    weights = checkpoint()
    del weights['encoder.conv_in.bias']
    weights['decoder.conv_in.weight'] = torch.zeros(1, 2)
    weights['surplus'] = torch.zeros(1)
    torch.save(weights, tmp_path / 'wrong.pth')
    network = fresh()
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, tmp_path / 'wrong.pth')
    message = str(caught.value)
    for part in ('wrong.pth', 'AutoencoderKL', '1 missing: encoder.conv_in.bias', '1 unexpected: surplus', '[1, 2]'):
        assert part in message
    assert all(tensor.is_meta for tensor in network.state_dict().values())


def test_weights_of_the_other_stage_are_refused():
    stage2 = {key: tensor for key, tensor in checkpoint('unet_i2v_micro').items() if 'fps' not in key[:4]}
    stage2 = {key: tensor for key, tensor in stage2.items() if not key.startswith('context_embedding')}
    with pytest.raises(CheckpointError, match='8 missing: .*fps_embedding.*this stage'):
        load_weights(fresh('unet_i2v_micro'), stage2)


def test_many_problems_are_counted_not_listed():
    with pytest.raises(CheckpointError, match=r'\.\.\.') as caught:
        load_weights(fresh(), {'surplus': torch.zeros(1)})
    assert len(str(caught.value)) < 1000


def test_clip_takes_the_image_tower_of_a_whole_clip_and_refuses_strangers():
    clip = build_on_meta(lambda: ClipImageEncoder(CLIP_TINY))
    weights = {key: torch.ones(tensor.shape) for key, tensor in clip.state_dict().items()}
    text = {'transformer.resblocks.0.ln_1.weight': torch.ones(64), 'logit_scale': torch.tensor(1.0)}
    load_weights(clip, {**weights, **text})
    with pytest.raises(CheckpointError, match='unexpected: adapter'):
        load_weights(clip, {**weights, 'adapter.weight': torch.ones(1)})


def test_open_clips_causal_mask_is_rebuilt():
    from open_clip.model import _build_text_tower

    build = build_on_meta(lambda: _build_text_tower(64, dict(CLIP_TINY['text_cfg'])))
    real = _build_text_tower(64, dict(CLIP_TINY['text_cfg']))
    load_weights(build, real.state_dict())
    assert 'attn_mask' not in real.state_dict()
    assert torch.equal(build.attn_mask, real.attn_mask)


def test_the_same_tensor_under_two_names_is_refused():
    weights = checkpoint('unet_i2v_micro')
    twice = {**weights, 'conv_in.weight': weights['input_blocks.0.0.weight']}
    with pytest.raises(CheckpointError, match="twice: 'input_blocks.0.0.weight' and 'conv_in.weight'"):
        load_weights(fresh('unet_i2v_micro'), twice)


@pytest.mark.parametrize('dtype', [torch.int8, torch.complex64])
def test_weights_that_are_no_real_numbers_are_refused(dtype):
    weights = checkpoint()
    weights['encoder.conv_in.bias'] = weights['encoder.conv_in.bias'].to(dtype)
    with pytest.raises(CheckpointError, match='1 not floating-point: encoder.conv_in.bias is torch'):
        load_weights(fresh(), weights)

import hashlib
import json
import re

import pytest
import torch
from safetensors.torch import save_file

from modelscope_i2v.errors import CheckpointError, ConfigurationError, InputError
from modelscope_i2v.networks import AutoencoderKL, ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.lora.file import read_lora_file
from modelscope_i2v.weights.lora.layers import LAYER_GROUPS, lora_layers, lora_shapes
from tests.golden import AUTOENCODER_MICRO
from tests.lora_files import LAYERS, UNET, apply_lora, description, factors, read_lora, small_unet, write_lora

#: Names of the weights of each group, for a check that does not depend on module types.
PATTERNS = {
    'attention': r'\.to_(q|k|v|out)\.weight$',
    'temporal': r'temporal_(in|transformer)\.(proj_|.*\.to_).*weight$|\.temporal\.\d\.conv\.weight$',
    'feed_forward': r'feed_forward\.proj_(in|out)\.weight$',
    'convolution': r'spatial\.conv_(in|out)\.weight$',
}
KEY = 'middle.temporal_transformer.proj_in.lora_A.weight'


@pytest.fixture(scope='module')
def meta():
    return build_on_meta(lambda: ImageToVideoUNet(**UNET, image_embed_dim=8))


def changed_names(before, after):
    return {name for name, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[name])}


@pytest.mark.parametrize('groups', [*((group,) for group in PATTERNS), LAYERS, tuple(PATTERNS)])
@pytest.mark.parametrize('kind', [ImageToVideoUNet, VideoToVideoUNet])
def test_which_layers_change(tmp_path, kind, groups):
    base = small_unet(kind)
    unet = apply_lora(small_unet(kind), write_lora(base, tmp_path / 'a.safetensors', layers=groups))
    expected = {name for name in base.state_dict() if any(re.search(PATTERNS[group], name) for group in groups)}
    assert changed_names(base, unet) == expected
    assert set(PATTERNS) == set(LAYER_GROUPS)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('stored', [torch.float32, torch.float16])
def test_scale_times_alpha_over_rank(tmp_path, dtype, stored):
    # All factors are one, so every entry of B A is the rank, and the change is scale * alpha = 0.0625.
    unet = load_weights(small_unet(), small_unet().state_dict(), dtype=dtype)
    before = {name: layer.weight for name, layer in lora_layers(unet, LAYERS).items()}
    ones = {key: torch.ones(shape, dtype=stored) for key, shape in lora_shapes(unet, LAYERS, 4).items()}
    apply_lora(unet, write_lora(unet, tmp_path / 'a.safetensors', 4, 0.125, tensors=ones), 0.5)
    for name, weight in before.items():
        changed = unet.get_submodule(name).weight
        assert changed.dtype == dtype
        assert torch.equal(changed, (weight.float() + 0.0625).to(dtype)), name


def test_a_convolution_over_frames_by_hand(tmp_path):
    unet = small_unet()
    name = 'middle.residual.temporal.2.conv'
    before = unet.get_submodule(name).weight.clone()
    tensors = factors(unet)
    apply_lora(unet, write_lora(unet, tmp_path / 'a.safetensors', tensors=tensors))
    down, up = (tensors[f'{name}.lora_{letter}.weight'] for letter in 'AB')
    expected = before + 2 * torch.einsum('orabc,ridef->oidef', up, down)
    assert (unet.get_submodule(name).weight - expected).abs().max() < 1e-6


def test_scale_0_keeps_every_bit(tmp_path):
    unet = small_unet()
    before = {name: (value.data_ptr(), value.clone()) for name, value in unet.state_dict().items()}
    apply_lora(unet, write_lora(unet, tmp_path / 'a.safetensors'), 0)
    for name, value in unet.state_dict().items():
        assert value.data_ptr() == before[name][0]
        assert torch.equal(value, before[name][1])


def test_opposite_scales_cancel(tmp_path):
    base, path = small_unet(), write_lora(small_unet(), tmp_path / 'a.safetensors')
    unet = apply_lora(apply_lora(small_unet(), path, 0.7), path, -0.7)
    assert max((a - b).abs().max() for a, b in zip(unet.parameters(), base.parameters(), strict=True)) < 1e-6


def test_mapped_weights_are_not_written_to(tmp_path):
    save_file(small_unet().state_dict(), tmp_path / 'unet.safetensors')
    digest = hashlib.sha256((tmp_path / 'unet.safetensors').read_bytes()).digest()
    unet = load_weights(
        build_on_meta(lambda: ImageToVideoUNet(**UNET, image_embed_dim=8)), tmp_path / 'unet.safetensors'
    )
    mapped = unet.temporal_in.proj_in.weight
    apply_lora(unet, write_lora(unet, tmp_path / 'a.safetensors'))
    assert torch.equal(mapped, small_unet().temporal_in.proj_in.weight)
    assert not torch.equal(mapped, unet.temporal_in.proj_in.weight)
    assert hashlib.sha256((tmp_path / 'unet.safetensors').read_bytes()).digest() == digest


def test_frozen_and_trained_weights_stay_so(tmp_path):
    unet = small_unet()
    unet.temporal_in.requires_grad_(False)
    apply_lora(unet, write_lora(unet, tmp_path / 'a.safetensors'))
    assert not unet.temporal_in.proj_in.weight.requires_grad
    assert unet.middle.temporal_transformer.proj_in.weight.requires_grad


def test_description_round_trip(tmp_path, meta):
    path = write_lora(meta, tmp_path / 'a.safetensors', 3, 1.5, ('temporal',))
    found, tensors = read_lora_file(path)
    assert found == description(meta, 3, 1.5, ('temporal',))
    assert (found.task, found.unet['channel_mult']) == ('image-to-video', [1, 2])
    assert tensors.keys() == lora_shapes(meta, ('temporal',), 3).keys()


# Files that do not fit


def refused(unet, path):
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        apply_lora(unet, path)
    assert str(path) in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in unet.state_dict().items())
    return str(caught.value)


def edited(tensors, key, value):
    return {name: tensor for name, tensor in {**tensors, key: value}.items() if tensor is not None}


@pytest.mark.parametrize(
    ('key', 'value', 'said'),
    [
        (KEY, None, f'1 missing: {KEY}.'),
        ('extra.lora_A.weight', torch.zeros(2, 2), '1 unexpected: extra.lora_A.weight.'),
        (KEY, torch.zeros(2, 3, 1), f'1 with the wrong shape: {KEY} is [2, 3, 1], not [2, 32, 1].'),
        (KEY, torch.zeros(2, 32), 'is [2, 32], not [2, 32, 1].'),
        (KEY, torch.zeros(2, 32, 1, dtype=torch.int32), f'1 not floating-point: {KEY}.'),
        (KEY, torch.full((2, 32, 1), float('nan')), f'1 NaN or infinite: {KEY}.'),
    ],
)
def test_wrong_tensors(tmp_path, meta, key, value, said):
    tensors = edited(factors(meta), key, value)
    assert said in refused(small_unet(), write_lora(meta, tmp_path / 'a.safetensors', tensors=tensors))


@pytest.mark.parametrize(
    ('entry', 'value', 'said'),
    [
        ('format', None, "is not a LoRA of this package: its metadata lacks format='modelscope_i2v.lora'"),
        ('format', 'pt', 'is not a LoRA of this package'),
        ('format_version', '2', "'format_version' must be '1', found '2'"),
        ('rank', None, "it lacks 'rank'"),
        ('rank', '0', "'rank' must be a whole number from 1 to 4096, found 0"),
        ('rank', '4.0', "'rank' must be a whole number"),
        ('rank', 'four', 'Expecting value'),
        ('rank', '4', 'is [2, '),
        ('alpha', 'NaN', "'alpha' must be a number above 0"),
        ('alpha', '-1', "'alpha' must be a number above 0"),
        ('layers', '["attentions"]', "found 'attentions'. Did you mean 'attention'?"),
        ('layers', '[]', "'layers' must be a non-empty list"),
        ('layers', '[' * 100_000, 'cannot be used'),
        ('layers', '["attention"]', 'unexpected: '),
        ('unet', '[]', "'unet' must be a JSON object"),
        ('unet', json.dumps({**UNET, 'num_heads': 8}), "a different UNet: 'num_heads' 8 instead of 3."),
        ('task', 'video-to-video', 'is for video-to-video, not for image-to-video'),
    ],
)
def test_wrong_metadata(tmp_path, meta, entry, value, said):
    assert said in refused(small_unet(), write_lora(meta, tmp_path / 'a.safetensors', metadata={entry: value}))


def test_the_other_stage(tmp_path):
    stage2 = build_on_meta(lambda: VideoToVideoUNet(**UNET))
    message = refused(small_unet(), write_lora(stage2, tmp_path / 'a.safetensors'))
    assert 'is for video-to-video, not for image-to-video. Use it with a model for that.' in message


def test_truncated_file(tmp_path, meta):
    whole = write_lora(meta, tmp_path / 'whole.safetensors').read_bytes()
    for length in (len(whole) // 2, len(whole) - 1, 100, 4):
        (tmp_path / 'a.safetensors').write_bytes(whole[:length])
        assert 'damaged or cut off' in refused(small_unet(), tmp_path / 'a.safetensors')


@pytest.mark.parametrize(
    ('suffix', 'write'), [('safetensors', save_file), ('pth', torch.save), ('lora', save_file), ('safetensors', None)]
)
def test_not_a_lora(tmp_path, suffix, write):
    path = tmp_path / f'unet.{suffix}'
    if write is None:
        path.write_text('<html>404</html>')
        assert 'is a web page' in refused(small_unet(), path)
        return
    write(small_unet().state_dict(), path)
    assert 'is not a LoRA of this package' in refused(small_unet(), path)


def test_missing_file_and_folder(tmp_path):
    assert "There is no LoRA file '" in refused(small_unet(), tmp_path / 'nothing.safetensors')
    assert 'is a folder' in refused(small_unet(), tmp_path)


@pytest.mark.parametrize('scale', [None, '1', True, float('nan'), float('inf'), 101, -101])
def test_wrong_scale(tmp_path, scale):
    with pytest.raises(InputError, match="'lora_scale' must be a number of at least -100 and at most 100"):
        apply_lora(small_unet(), write_lora(small_unet(), tmp_path / 'a.safetensors'), scale)


def test_only_unets_take_one(tmp_path, meta):
    autoencoder = build_on_meta(lambda: AutoencoderKL(**AUTOENCODER_MICRO))
    with pytest.raises(ConfigurationError, match='found AutoencoderKL'):
        read_lora(autoencoder, write_lora(meta, tmp_path / 'a.safetensors'))

import re
import stat

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from modelscope_i2v.errors import ConfigurationError, InputError, OutputError
from modelscope_i2v.networks import ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.training.lora import LoraSettings, add_lora, save_lora
from modelscope_i2v.weights import build_on_meta
from modelscope_i2v.weights.lora.layers import LAYER_GROUPS, lora_shapes
from tests.lora_files import apply_lora, key_of, small_unet

KINDS = (ImageToVideoUNet, VideoToVideoUNet)
SETTINGS = LoraSettings(rank=3, alpha=6.0)
ALL = LoraSettings(rank=3, alpha=2.0, layers=tuple(LAYER_GROUPS))


def predict(unet):
    """The output for fixed inputs, of stage 1 or 2."""
    generator = torch.Generator().manual_seed(3)
    stage1 = isinstance(unet, ImageToVideoUNet)
    x = torch.randn(1, 4, 3, 8, 8, generator=generator)
    condition = torch.randn(1, 1, 8, generator=generator) if stage1 else torch.randn(1, 5, 12, generator=generator)
    more = [torch.tensor([8])] if stage1 else []
    with torch.no_grad():
        return unet.eval()(x, torch.tensor([500]), condition, *more)


def trained(unet, settings, std=0.2):
    """``unet`` with a LoRA whose B is no longer zero."""
    add_lora(unet, settings)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if '.lora_B.' in name:
                parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return unet


def lora_parameters(unet, rank):
    """Computed by hand: rank * (in * kernel + out) for every weight, found by its name."""
    count = 0
    for name, weight in unet.named_parameters():
        if re.search(
            r'\.to_(q|k|v|out)\.weight|temporal_(in|transformer)\.proj_.*weight|temporal\.\d\.conv\.weight', name
        ):
            count += rank * (weight[0].numel() + len(weight))
    return count


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('settings', [SETTINGS, ALL])
def test_at_first_nothing_changes(kind, settings):
    expected = predict(small_unet(kind))
    assert torch.equal(predict(add_lora(small_unet(kind), settings)), expected)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('settings', [SETTINGS, ALL])
def test_loading_equals_pefts_own_forward(tmp_path, kind, settings):
    base, path = predict(small_unet(kind)), tmp_path / 'a.safetensors'
    unet = trained(small_unet(kind), settings)
    expected = predict(unet)
    save_lora(unet, path, settings, dtype=torch.float32, key=key_of(unet))
    whole, half, none = (predict(apply_lora(small_unet(kind), path, scale)) for scale in (1, 0.5, 0))
    assert (whole - expected).abs().max() < 1e-5
    assert torch.equal(none, base)
    assert (expected - base).abs().max() > 0.1
    assert (half - base).abs().max() > 0.05
    assert (half - whole).abs().max() > 0.05
    save_lora(unet, path, settings, key=key_of(unet))
    rounded = predict(apply_lora(small_unet(kind), path))
    assert 0 < (rounded - expected).abs().max() < 0.01 * (expected - base).abs().max()


@pytest.mark.parametrize('kind', KINDS)
def test_only_the_change_is_trained(kind):
    expected = lora_parameters(small_unet(kind), 3)
    unet = add_lora(small_unet(kind), SETTINGS)
    assert {'lora_' in name for name, parameter in unet.named_parameters() if parameter.requires_grad} == {True}
    assert sum(parameter.numel() for parameter in unet.parameters() if parameter.requires_grad) == expected


def test_a_step_trains_it_through_activation_checkpointing():
    unet = add_lora(small_unet(), SETTINGS)
    unet.activation_checkpointing = True
    before = {name: parameter.detach().clone() for name, parameter in unet.named_parameters()}
    optimizer = torch.optim.SGD([parameter for parameter in unet.parameters() if parameter.requires_grad], lr=1)
    x = torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.random.fork_rng(devices=[]):  # for dropout
        unet.train()(x, torch.tensor([5]), torch.ones(1, 1, 8), torch.tensor([8])).square().mean().backward()
    optimizer.step()
    moved = {name for name, parameter in unet.named_parameters() if not torch.equal(parameter, before[name])}
    # While B is zero, A has no gradient; every B has one.
    assert moved == {name for name in before if '.lora_B.' in name}


def test_weights_in_half_precision_get_a_change_in_full():
    unet = add_lora(small_unet().half(), SETTINGS)
    assert {parameter.dtype for parameter in unet.parameters() if parameter.requires_grad} == {torch.float32}
    assert {parameter.dtype for parameter in unet.parameters() if not parameter.requires_grad} == {torch.float16}


def factor_of(seed):
    unet = add_lora(small_unet(), LoraSettings(rank=3, seed=seed))
    return unet.temporal_in.proj_in.lora_A['default'].weight


def test_a_is_drawn_from_the_seed_alone():
    state = torch.get_rng_state()
    first = factor_of(1)
    torch.rand(1)
    assert torch.equal(factor_of(1), first)
    assert not torch.equal(factor_of(2), first)
    torch.set_rng_state(state)
    factor_of(3)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_file(tmp_path):
    unet, path = trained(small_unet(), SETTINGS), tmp_path / 'folder' / 'a.safetensors'
    save_lora(unet, path, SETTINGS, {'step': '70', 'rank': 'overruled'}, key=key_of(unet))
    tensors = load_file(path)
    assert {key: tuple(tensor.shape) for key, tensor in tensors.items()} == lora_shapes(unet, SETTINGS.layers, 3)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert tensors['temporal_in.proj_in.lora_A.weight'].shape == (3, 16, 1)
    assert tensors['temporal_in.proj_in.lora_B.weight'].shape == (24, 3, 1)
    assert tensors['middle.residual.temporal.0.conv.lora_A.weight'].shape == (3, 32, 3, 1, 1)
    assert tensors['middle.residual.temporal.0.conv.lora_B.weight'].shape == (32, 3, 1, 1, 1)
    with safe_open(path, 'pt') as file:
        header = file.metadata()
    expected = {'format': 'modelscope_i2v.lora', 'format_version': '1', 'task': 'image-to-video', 'step': '70'}
    assert {**expected, 'rank': '3', 'alpha': '6.0', 'layers': '["attention", "temporal"]'}.items() <= header.items()
    assert '"model_channels": 16' in header['unet']


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / 'a.safetensors').mkdir()
    unet = add_lora(small_unet(), SETTINGS)
    with pytest.raises(OutputError, match='is a folder'):
        save_lora(unet, tmp_path / 'a.safetensors', SETTINGS, key=key_of(unet))
    old = tmp_path / 'old.safetensors'
    old.write_text('old')
    old.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(TypeError):
        save_lora(unet, old, SETTINGS, {'step': 70}, key=key_of(unet))
    assert old.read_text() == 'old'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.safetensors', 'old.safetensors']


def test_misuse(tmp_path):
    with pytest.raises(InputError, match=r"'temporal_in.*' has no LoRA"):
        save_lora(small_unet(), tmp_path / 'a.safetensors', SETTINGS, key=key_of(small_unet()))
    unet = add_lora(small_unet(), SETTINGS)
    with pytest.raises(ConfigurationError, match='already has a LoRA'):
        add_lora(unet, SETTINGS)
    with pytest.raises(InputError, match=r'feed_forward.* has no LoRA'):
        save_lora(unet, tmp_path / 'a.safetensors', LoraSettings(rank=3, layers=('feed_forward',)), key=key_of(unet))
    with pytest.raises(ConfigurationError, match='has no layers'):
        add_lora(torch.nn.Linear(2, 2), SETTINGS)


@pytest.mark.parametrize(
    ('name', 'value', 'said'),
    [
        ('rank', 0, "'rank' must be a whole number from 1 to 4096, found 0"),
        ('rank', 2.0, "'rank' must be a whole number"),
        ('alpha', 0, "'alpha' must be a number above 0"),
        ('dropout', 1, "'dropout' must be below 1"),
        ('dropout', -0.1, "'dropout'"),
        ('layers', (), "'layers' must be a non-empty list"),
        ('layers', 'attention', "'layers' must be a non-empty list"),
        ('layers', ['atention'], "Did you mean 'attention'"),
        ('seed', -1, "'seed'"),
    ],
)
def test_settings_check_themselves(name, value, said):
    with pytest.raises(ConfigurationError) as caught:
        LoraSettings(**{name: value})
    assert said in str(caught.value)


@pytest.mark.parametrize('kind', KINDS)
def test_full_size(kind):
    unet = build_on_meta(kind)
    shapes = lora_shapes(unet, LoraSettings().layers, 16)
    count = sum(torch.Size(shape).numel() for shape in shapes.values())
    assert count == lora_parameters(unet, 16)
    assert (len(shapes), count) == (772, 12_632_064)  # 25 MB in float16, beside 2.8 GB of the UNet

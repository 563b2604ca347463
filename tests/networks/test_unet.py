import pytest
import torch
import torch.nn.functional as F

from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.networks import ImageToVideoUNet, set_attention_backend
from modelscope_i2v.networks.layers import FrameConvolution, sinusoidal_embedding
from tests.golden import NET_BOUND, UNET_MICRO, difference, golden, unet_micro, unet_tiny


@pytest.fixture(scope='module')
def tiny():
    return unet_tiny()


@pytest.fixture(scope='module')
def micro():
    return unet_micro()


@pytest.mark.parametrize('dim', [32, 320])
def test_sinusoidal_embedding_equals_reference(dim):
    data = golden('sinusoidal')
    assert difference(sinusoidal_embedding(data['t'], dim), data[f'emb_{dim}']) < 1e-6


@pytest.mark.parametrize('case', ['c1', 'c2', 'c3_b2_fps1'])
@torch.no_grad()
def test_equals_reference(tiny, case):
    data = golden('unet_i2v_tiny')
    out = tiny(*(data[f'{case}.{name}'] for name in ('x', 't', 'y', 'fps')))
    assert difference(out, data[f'{case}.out']) < NET_BOUND
    assert difference(out, data[f'{case}.out_fp64']) < NET_BOUND


@torch.no_grad()
def test_math_attention_equals_sdpa(micro):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 3, 8, 8, generator=generator)
    y = torch.randn(2, 1, 64, generator=generator)
    t, fps = torch.tensor([10, 900]), torch.tensor([8])
    expected = micro(x, t, y, fps)
    set_attention_backend(micro, 'math')
    try:
        assert difference(micro(x, t, y, fps), expected) < NET_BOUND
    finally:
        set_attention_backend(micro, 'sdpa')


@torch.no_grad()
def test_batch_elements_do_not_mix(micro):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, 4, 3, 8, 8, generator=generator), torch.randn(2, 1, 64, generator=generator)
    t, fps = torch.tensor([1, 700]), torch.tensor([4, 16])
    both = micro(x, t, y, fps)
    for index in range(2):
        one = slice(index, index + 1)
        assert difference(micro(x[one], t[one], y[one], fps[one]), both[one]) < NET_BOUND


def test_activation_checkpointing_changes_no_gradient(micro):
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(1, 4, 2, 8, 8, generator=generator), torch.randn(1, 1, 64, generator=generator)
    gradients = []
    for enabled in (False, True):
        network = unet_micro().train()
        for module in network.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        network.activation_checkpointing = enabled
        network(x, torch.tensor([500]), y, torch.tensor([8])).square().mean().backward()
        gradients.append({name: parameter.grad for name, parameter in network.named_parameters()})
    assert all(difference(gradients[0][name], gradient) < 1e-6 for name, gradient in gradients[1].items())
    assert max(gradient.abs().max() for gradient in gradients[1].values()) > 1e-4


def test_illegal_latents_are_refused(micro):
    with pytest.raises(InputError, match='multiples of 4'):
        micro(torch.zeros(1, 4, 2, 6, 8), torch.tensor([1]), torch.zeros(1, 1, 64), torch.tensor([8]))


@pytest.mark.parametrize('shape', [(1, 1, 64), (2, 64), (2, 4, 64), (2, 1, 32)])
def test_an_embedding_that_does_not_fit_the_batch_is_refused(micro, shape):
    with pytest.raises(InputError, match=r"'image_embedding' must be \[2, 1, 64\]"):
        micro(torch.zeros(2, 4, 1, 8, 8), torch.tensor([1]), torch.zeros(shape), torch.tensor([8]))


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'model_channels': 0}, 'model_channels'),
        ({'model_channels': 2**40}, 'model_channels'),
        ({'channel_mult': [1, 10**30]}, r'channel_mult\[1\]'),
        ({'model_channels': 48}, 'norm_num_groups'),
        ({'channel_mult': []}, 'channel_mult'),
        ({'channel_mult': [1, 'x']}, r'channel_mult\[1\]'),
        ({'attention_resolutions': [8]}, 'attention_resolutions'),
        ({'num_head_channels': 48}, 'num_head_channels'),
        ({'num_image_tokens': True}, 'num_image_tokens'),
        ({'image_embed_dim': 1.5}, 'image_embed_dim'),
    ],
)
def test_impossible_parameters_are_named(change, named):
    with pytest.raises(ConfigurationError, match=named):
        ImageToVideoUNet(**{**UNET_MICRO, **change})


def test_unknown_parameter_is_a_type_error():
    with pytest.raises(TypeError, match='model_chanels'):
        ImageToVideoUNet(model_chanels=64)


@torch.no_grad()
def test_the_convolution_over_frames_is_the_three_dimensional_one():
    """Sums may be added in another order, so the last bits may differ."""
    generator = torch.Generator().manual_seed(3)
    convolution = FrameConvolution(32, 32, (3, 1, 1), padding=(1, 0, 0))
    assert {key: tuple(value.shape) for key, value in convolution.state_dict().items()} == {
        'weight': (32, 32, 3, 1, 1),
        'bias': (32,),
    }
    for shape in [(2, 32, 5, 4, 6), (1, 32, 1, 3, 2), (1, 32, 2, 1, 1)]:
        x = torch.randn(shape, generator=generator)
        out = convolution(x)
        assert out.shape == x.shape
        assert difference(out, F.conv3d(x, convolution.weight, convolution.bias, padding=(1, 0, 0))) < 1e-5
        strided = x.transpose(1, 2).contiguous().transpose(1, 2)
        assert difference(convolution(strided), out) < 1e-6

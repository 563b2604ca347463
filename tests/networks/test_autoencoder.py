import pytest
import torch

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.networks import AutoencoderKL
from tests.golden import NET_BOUND, autoencoder_tiny, difference, golden


@pytest.fixture(scope='module')
def autoencoder():
    return autoencoder_tiny()


@pytest.mark.parametrize('bands', [1, 3])
@pytest.mark.parametrize('case', ['dec0', 'dec1'])
@torch.no_grad()
def test_decode_equals_reference(autoencoder, case, bands):
    data = golden('autoencoder_tiny')
    assert difference(autoencoder.decode(data[f'{case}.z'], bands), data[f'{case}.out']) < NET_BOUND


@pytest.mark.parametrize('bands', [1, 3])
@pytest.mark.parametrize('case', ['enc0', 'enc1'])
@torch.no_grad()
def test_encode_equals_reference(autoencoder, case, bands):
    data = golden('autoencoder_tiny')
    mean, logvar = autoencoder.encode(data[f'{case}.x'], bands)
    assert difference(mean, data[f'{case}.mean']) < NET_BOUND
    assert difference(logvar, data[f'{case}.logvar']) < NET_BOUND
    sampled = autoencoder.config.scale_factor * (mean + (0.5 * logvar).exp() * data[f'{case}.noise_seed7'])
    assert difference(sampled, data[f'{case}.first_stage_encoding_seed7']) < NET_BOUND


@torch.no_grad()
def test_without_attention_it_is_one_whose_attention_adds_nothing():
    sizes = {'channels': 8, 'channel_mult': (1, 2), 'num_res_blocks': 1, 'norm_num_groups': 2}
    whole, without = AutoencoderKL(**sizes), AutoencoderKL(**sizes, attention=False)
    for half in (whole.encoder, whole.decoder):
        torch.nn.init.zeros_(half.middle.attention.to_out.weight)
        torch.nn.init.zeros_(half.middle.attention.to_out.bias)
    weights = {name: value for name, value in whole.state_dict().items() if '.attention.' not in name}
    without.load_state_dict(weights)
    x = torch.randn(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    mean, _ = whole.encode(x)
    for bands in (1, 3):
        assert torch.allclose(without.encode(x, bands)[0], mean, atol=1e-5)
        assert torch.allclose(without.decode(mean, bands), whole.decode(mean), atol=1e-5)


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'attention': 1}, 'attention'),
        ({'scale_factor': 0}, 'scale_factor'),
        ({'channels': 33}, 'norm_num_groups'),
        ({'z_channels': -1}, 'z_channels'),
    ],
)
def test_impossible_parameters_are_named(change, named):
    with pytest.raises(ConfigurationError, match=named):
        AutoencoderKL(**change)

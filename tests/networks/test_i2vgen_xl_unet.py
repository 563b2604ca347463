import pytest
import torch

from modelscope_i2v.errors import InputError
from modelscope_i2v.networks import I2VGenXLUNet, set_attention_backend
from tests.golden import NET_BOUND, UNET_MICRO, difference, golden, unet_i2vgen_micro, unet_i2vgen_tiny

INPUTS = ('x', 't', 'text_features', 'image_embedding', 'image_latents', 'fps')


@pytest.fixture(scope='module')
def tiny():
    return unet_i2vgen_tiny()


@pytest.fixture(scope='module')
def micro():
    return unet_i2vgen_micro()


def inputs(batch=2, num_frames=3, height=8, width=12):
    """Random inputs of the micro network, in the order of its arguments."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(batch, *shape, generator=generator)

    t, fps = torch.tensor([10, 900][:batch]), torch.tensor([4, 16][:batch])
    return [draw(4, num_frames, height, width), t, draw(77, 1024), draw(1, 64), draw(4, height, width), fps]


@pytest.mark.parametrize('case', ['c1', 'c2', 'c3', 'c4'])
@torch.no_grad()
def test_equals_reference(tiny, case):
    data = golden('unet_i2vgen_tiny')
    given = {name: data[f'{case}.{name}'] for name in INPUTS}
    assert difference(tiny.concat(given['image_latents'], given['x'].shape[2]), data[f'{case}.concat']) < NET_BOUND
    assert difference(tiny.local_tokens(given['image_latents']), data[f'{case}.local_tokens']) < NET_BOUND
    assert difference(tiny.global_tokens(given['image_embedding']), data[f'{case}.global_tokens']) < NET_BOUND
    assert difference(tiny(**given), data[f'{case}.out']) < NET_BOUND


@torch.no_grad()
def test_without_an_image_embedding_it_equals_reference(tiny):
    data = golden('unet_i2vgen_tiny')
    given = {name: data[f'c1.{name}'] for name in INPUTS}
    out = tiny(**{**given, 'image_embedding': torch.zeros_like(given['image_embedding'])})
    assert difference(out, data['c1.out_zero_image']) < NET_BOUND


@torch.no_grad()
def test_batch_elements_do_not_mix(micro):
    given = inputs()
    both = micro(*given)
    for index in range(2):
        one = slice(index, index + 1)
        assert difference(micro(*(each[one] for each in given)), both[one]) < NET_BOUND


@torch.no_grad()
def test_math_attention_equals_sdpa(micro):
    given = inputs()
    expected = micro(*given)
    set_attention_backend(micro, 'math')
    try:
        assert difference(micro(*given), expected) < NET_BOUND
    finally:
        set_attention_backend(micro, 'sdpa')


@torch.no_grad()
def test_every_condition_matters(micro):
    given = inputs()
    expected = micro(*given)
    for index in range(1, len(given)):
        changed = [*given]
        changed[index] = given[index] + 1
        assert difference(micro(*changed), expected) > 1e-2, INPUTS[index]


@pytest.mark.parametrize(('channels', 'context_dim', 'tokens'), [(4, 64, 4), (8, 256, 16), (4, 1024, 64)])
@torch.no_grad()
def test_widths_follow_the_latents_and_the_context(channels, context_dim, tokens):
    unet = I2VGenXLUNet(**{**UNET_MICRO, 'in_channels': channels, 'out_channels': channels, 'context_dim': context_dim})
    latents = torch.zeros(1, channels, 4, 8)
    assert unet.local_tokens(latents).shape == (1, tokens, context_dim)
    assert unet.concat(latents, 3).shape == (1, channels, 3, 4, 8)
    t, text, embedding = torch.tensor([1]), torch.zeros(1, 7, context_dim), torch.zeros(1, 1, 64)
    out = unet(torch.zeros(1, channels, 3, 4, 8), t, text, embedding, latents, torch.tensor([8]))
    assert out.shape == (1, channels, 3, 4, 8)


@pytest.mark.parametrize(
    ('name', 'shape', 'allowed'),
    [
        ('text_features', (2, 77, 64), r'\[2, 77, 1024\]'),
        ('text_features', (1, 77, 1024), r'\[2, 77, 1024\]'),
        ('image_embedding', (2, 64), r'\[2, 1, 64\]'),
        ('image_latents', (2, 4, 8, 8), r'\[2, 4, 8, 12\]'),
        ('image_latents', (2, 4, 1, 8, 12), r'\[2, 4, 8, 12\]'),
    ],
)
def test_conditions_of_another_shape_are_refused(micro, name, shape, allowed):
    given = dict(zip(INPUTS, inputs(), strict=True))
    with pytest.raises(InputError, match=f"'{name}' must be {allowed}"):
        micro(**{**given, name: torch.zeros(shape)})


def test_illegal_latents_are_refused(micro):
    given = dict(zip(INPUTS, inputs(), strict=True))
    with pytest.raises(InputError, match='multiples of 4'):
        micro(**{**given, 'x': torch.zeros(2, 4, 3, 6, 12), 'image_latents': torch.zeros(2, 4, 6, 12)})

"""The frequency split that image_strength was compared with, in closed form, and the tables of the documentation."""

import math

import pytest
import torch

from benchmarks.image_strength import COLUMNS, PAGE, frame_init, low_pass, table, with_table
from modelscope_i2v.diffusion import scaled_linear_schedule

SCHEDULE = scaled_linear_schedule()
NOISE = torch.randn(1, 4, 16, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_constant_passes_and_a_wave_is_damped_by_the_gaussian():
    assert torch.allclose(low_pass(torch.full((4, 8, 8), 3.0), 0.1), torch.full((4, 8, 8), 3.0), atol=1e-6)
    for axis, (size, waves) in enumerate([(16, 2), (16, 4), (16, 8)]):
        phase = 2 * math.pi * waves * torch.arange(size) / size
        wave = torch.cos(phase).view([-1 if place == axis else 1 for place in range(3)]).expand(16, 16, 16)
        gain = math.exp(-((2 * waves / size) ** 2) / (2 * 0.25**2))
        assert torch.allclose(low_pass(wave, 0.25), gain * wave, atol=1e-6)


def test_a_wide_filter_takes_everything_from_the_noised_picture_and_a_narrow_one_only_its_mean():
    picture, sigma = torch.full_like(NOISE, 2.0), float(SCHEDULE.sigmas[700])
    alpha, noise_share = (1 + sigma**2) ** -0.5, sigma * (1 + sigma**2) ** -0.5
    assert torch.allclose(frame_init(picture, NOISE, sigma, 1e4), alpha * picture + noise_share * NOISE, atol=1e-4)
    narrow = frame_init(picture, NOISE, sigma, 1e-4)
    mean = NOISE.mean(dim=(-3, -2, -1), keepdim=True)
    assert torch.allclose(narrow, NOISE + alpha * 2.0 - (1 - noise_share) * mean, atol=1e-4)


def test_the_variance_of_the_mix_stays_near_that_of_noise():
    """Low frequencies have ``sigma_vp^2`` of the noise's power, high ones all of it."""
    sigma = float(SCHEDULE.sigmas[850])
    mixed = frame_init(torch.zeros_like(NOISE), NOISE, sigma, 0.25)
    assert 1 / (1 + sigma**-2) < mixed.var() / NOISE.var() < 1


def test_the_documentation_has_the_tables():
    text = PAGE.read_text(encoding='utf-8')
    for name, first in (('strengths', '`image_strength`'), ('methods', 'method')):
        assert f'<!-- {name} -->\n\n| {first} | {" | ".join(COLUMNS)} |' in text
        assert with_table(text, name, 'x') != text
    assert table('a', {'b': [1.04, 2, 0.5, 0.25, 1]}).endswith('| b | 1.0 | 2.0 | 0.500 | 0.25 | 1.00 |')


@pytest.mark.slow
def test_likeness_rises_with_strength_and_motion_falls():
    import modelscope_i2v
    from benchmarks.first_generation import FIRST_GENERATION
    from benchmarks.image_strength import Bench, held_out_pictures
    from modelscope_i2v.metrics import load_image_encoder

    bench = Bench(modelscope_i2v.load(FIRST_GENERATION, device='cpu', show_progress=False, num_frames=8))
    # Layouts and the photograph hardly move at any strength.
    pictures = {name: picture for name, picture in held_out_pictures().items() if name in ('sprite 0', 'landscape 1')}
    encoder = load_image_encoder(FIRST_GENERATION)
    rows = [bench.measure(bench.sdedit(strength), pictures, encoder) for strength in (0.0, 0.3, 0.6, 0.9)]
    first, every, _, flow, _ = zip(*rows, strict=True)
    assert list(first) == sorted(first)
    assert list(every) == sorted(every)
    assert every[-1] > every[0] + 3
    assert flow[-1] < flow[0]

import gc
from itertools import pairwise

import torch

from modelscope_i2v.diffusion import brownian_noise
from modelscope_i2v.diffusion.samplers.steps import Step

SIGMAS = torch.linspace(4.0, 0.1, 31).tolist()


def noises(shape, entropy, sigmas=SIGMAS):
    noise = brownian_noise(shape, sigmas, entropy)
    return [noise(Step(index, *pair)) for index, pair in enumerate(pairwise(sigmas))]


def test_steps_get_independent_noise_of_unit_variance():
    found = torch.stack(noises((1, 4, 8, 16, 16), 3))
    assert abs(found.mean()) < 0.01
    assert (found.flatten(1).std(dim=1) - 1).abs().max() < 0.05
    assert torch.corrcoef(found.flatten(1)).fill_diagonal_(0).abs().max() < 0.06


def test_entropy_decides():
    shape = (1, 4, 2, 4, 4)
    assert all(torch.equal(a, b) for a, b in zip(noises(shape, 3), noises(shape, 3), strict=True))
    assert not torch.equal(noises(shape, 3)[0], noises(shape, 4)[0])


def test_a_long_step_is_the_sum_of_the_short_ones():
    shape, fine = (1, 4, 2, 4, 4), [4.0, 3.0, 2.0, 1.0]
    whole = noises(shape, 3, [4.0, 1.0])[0] * 3**0.5
    torch.testing.assert_close(sum(noises(shape, 3, fine)), whole, atol=1e-5, rtol=1e-5)


def test_few_tensors_are_kept():
    shape = (1, 4, 37, 4, 4)
    noise = brownian_noise(shape, SIGMAS, 3)
    for index, pair in enumerate(pairwise(SIGMAS)):
        noise(Step(index, *pair))
    gc.collect()
    alive = [item for item in gc.get_objects() if isinstance(item, torch.Tensor) and tuple(item.shape) == shape]
    assert len(alive) < 10, len(alive)

from modelscope_i2v.diffusion import sample_ddim, sample_euler
from modelscope_i2v.generation.sampler import Sampler, fresh_noise


def sample_twice(denoiser, x, sigmas, *, callback=None):
    """A sampler of its own: adding one takes its function and a line in the table."""
    return sample_euler(denoiser, x, [*sigmas[:1], *sigmas[-1:]], callback=callback)


SAMPLERS = {
    'euler': Sampler(sample=sample_euler, steps=2),
    'ddim': Sampler(sample=sample_ddim, steps=3, noise=fresh_noise),
    'twice': Sampler(sample=sample_twice, steps=4),
}

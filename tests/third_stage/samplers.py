from modelscope_i2v.diffusion import sample_euler
from modelscope_i2v.generation.sampler import Sampler


def sample_twice(denoiser, x, sigmas, *, callback=None):
    """A sampler of its own: adding one takes its function and a line in the table."""
    return sample_euler(denoiser, x, [*sigmas[:1], *sigmas[-1:]], callback=callback)


SAMPLERS = {
    'euler': Sampler(sample='modelscope_i2v.diffusion:sample_euler', steps=2),
    'ddim': Sampler(
        sample='modelscope_i2v.diffusion:sample_ddim', steps=3, noise='modelscope_i2v.generation.noise:fresh_noise'
    ),
    'twice': Sampler(sample='tests.third_stage.samplers:sample_twice', steps=4),
}

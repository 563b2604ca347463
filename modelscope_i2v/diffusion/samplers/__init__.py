"""Samplers: one function each, all ``sample_x(denoiser, x, sigmas, *, callback=None) -> x``.

``x`` ``[B, C, F, h, w]`` starts at noise level ``sigmas[0]`` and is returned at ``sigmas[-1]``, which may be 0. There
is one step between two sigmas, so n + 1 sigmas make n steps. The first sigma may be infinite. Nothing random happens
inside: samplers that need noise take it as an argument.
"""

from modelscope_i2v.diffusion.samplers.ddim import sample_ddim
from modelscope_i2v.diffusion.samplers.dpmpp import sample_dpmpp_2m, sample_dpmpp_2m_sde
from modelscope_i2v.diffusion.samplers.euler import sample_euler
from modelscope_i2v.diffusion.samplers.heun import sample_heun
from modelscope_i2v.diffusion.samplers.unipc import sample_unipc

__all__ = ['sample_ddim', 'sample_dpmpp_2m', 'sample_dpmpp_2m_sde', 'sample_euler', 'sample_heun', 'sample_unipc']

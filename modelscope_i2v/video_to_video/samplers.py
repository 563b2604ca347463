"""The solvers of stage 2. To add one, write its function in ``diffusion/samplers/`` and add a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelscope_i2v.generation.sampler import Sampler

SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        'dpmpp_2m_sde': Sampler(
            sample='modelscope_i2v.diffusion:sample_dpmpp_2m_sde',
            steps=30,
            noise='modelscope_i2v.generation.noise:brownian_motion',
            drop_penultimate=True,
        ),
        'heun': Sampler(sample='modelscope_i2v.diffusion:sample_heun', steps=50),
        'dpmpp_2m': Sampler(sample='modelscope_i2v.diffusion:sample_dpmpp_2m', steps=25),
        'unipc': Sampler(sample='modelscope_i2v.diffusion:sample_unipc', steps=20),
    }
)
#: The default solver of each ``solver_mode``.
SOLVER_OF_MODE: Mapping[str, str] = MappingProxyType({'fast': 'dpmpp_2m_sde', 'normal': 'heun'})
#: What each ``speed`` sets; docs/performance.md has how far the latents are from the solution.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        'balanced': {'solver': 'dpmpp_2m', 'steps': 20, 'timestep_spacing': 'karras'},
        'fast': {'solver': 'dpmpp_2m', 'steps': 12, 'timestep_spacing': 'karras'},
    }
)

"""The solvers of stage 1. To add one, write its function in ``diffusion/samplers/`` and add a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from modelscope_i2v.generation.sampler import Sampler

#: With fewer steps than this, "leading" spacing would start far from pure noise.
FEW_STEPS = 10

SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        'ddim': Sampler(
            sample='modelscope_i2v.diffusion:sample_ddim',
            steps=50,
            noise='modelscope_i2v.generation.noise:fresh_noise',
            takes=('eta',),
            leading_from=FEW_STEPS,
        ),
        'dpmpp_2m': Sampler(sample='modelscope_i2v.diffusion:sample_dpmpp_2m', steps=25),
        'unipc': Sampler(sample='modelscope_i2v.diffusion:sample_unipc', steps=20),
        'euler': Sampler(sample='modelscope_i2v.diffusion:sample_euler', steps=30),
    }
)
#: What each ``speed`` sets; docs/performance.md has how far the latents are from the solution.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        'balanced': {'solver': 'dpmpp_2m', 'steps': 10, 'timestep_spacing': 'karras'},
        'fast': {'solver': 'ddim', 'steps': 5, 'timestep_spacing': 'trailing'},
    }
)

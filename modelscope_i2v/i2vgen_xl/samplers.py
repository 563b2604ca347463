"""The solvers of the second generation: those of the first."""

from __future__ import annotations

from modelscope_i2v.image_to_video.samplers import PRESETS, SAMPLERS

__all__ = ['PRESETS', 'SAMPLERS']

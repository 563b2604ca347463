"""The noise levels that the second generation visits: as the first does, but "trailing" starts without any signal."""

from __future__ import annotations

from modelscope_i2v.diffusion import zero_snr_cosine_schedule
from modelscope_i2v.image_to_video.sigmas import sigmas_of

__all__ = ['SCHEDULE', 'sigmas_of']

#: What the network was trained on.
SCHEDULE = zero_snr_cosine_schedule()

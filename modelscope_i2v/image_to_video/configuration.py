"""Section ``model.model_cfg`` of stage 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import integer
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.picture_configuration import PictureConfiguration
from modelscope_i2v.image_to_video.samplers import SAMPLERS
from modelscope_i2v.media.limits import MAX_SIDE

if TYPE_CHECKING:
    from modelscope_i2v.model_folder import ModelArguments


@dataclass(frozen=True, kw_only=True)
class ImageToVideoConfiguration(PictureConfiguration):
    """Stage 1. Its videos have the configured size, unless a call has another or ``fit='keep'``.

    Attributes:
        latent_hei, latent_wid: size of the latents (pixels divided by the autoencoder's factor, 8 in the real one).
    """

    latent_hei: int = 32
    latent_wid: int = 56
    solver: str | None = 'ddim'

    solvers = tuple(SAMPLERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        factor = self.unet.downsampling_factor
        for key in ('latent_hei', 'latent_wid'):
            if integer(key, getattr(self, key), 1, MAX_SIDE // self.autoencoder.downsampling_factor) % factor:
                raise ConfigurationError(f"'{key}' must be a multiple of {factor}, found {getattr(self, key)}.")

    @property
    def configured_size(self) -> tuple[int, int]:
        pixels = self.autoencoder.downsampling_factor
        return self.latent_hei * pixels, self.latent_wid * pixels

    def size_for(
        self, aspect: float, height: int | None = None, width: int | None = None, fit: str = 'keep'
    ) -> tuple[int, int]:
        """As in :class:`PictureConfiguration` for ``fit='keep'``; otherwise a missing side is the configured one."""
        if fit != 'keep':
            tall, wide = self.configured_size
            height, width = height or tall, width or wide
        return super().size_for(aspect, height, width, fit)

    def frames_encoded(self, arguments: Any, num_frames: int) -> int:
        """The picture, if sampling starts from it with noise added."""
        return int(arguments.image_strength > 0)

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        height, width = self.configured_size
        return {**super().call_defaults(model_args), 'height': height, 'width': width}

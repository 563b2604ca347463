"""Section ``model.model_cfg`` of stage 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import choice, integer, legal_size
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.generation.arguments import SPACINGS
from modelscope_i2v.generation.configuration import StageConfiguration
from modelscope_i2v.image_to_video.samplers import SAMPLERS
from modelscope_i2v.media.limits import MAX_SIDE
from modelscope_i2v.networks.parameters import ImageToVideoUNetParameters

if TYPE_CHECKING:
    from modelscope_i2v.model_folder import ModelArguments


@dataclass(frozen=True, kw_only=True)
class ImageToVideoConfiguration(StageConfiguration):
    """Stage 1.

    Attributes:
        latent_hei, latent_wid: size of the latents (pixels divided by the autoencoder's factor, 8 in the real one).
        timestep_spacing: default of the call's argument; None means the solver's own.
    """

    latent_hei: int = 32
    latent_wid: int = 56
    solver: str | None = 'ddim'
    timestep_spacing: str | None = None
    unet: ImageToVideoUNetParameters = field(default_factory=ImageToVideoUNetParameters)

    solvers = tuple(SAMPLERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timestep_spacing is not None:
            choice('timestep_spacing', self.timestep_spacing, SPACINGS)
        factor = self.unet.downsampling_factor
        for key in ('latent_hei', 'latent_wid'):
            if integer(key, getattr(self, key), 1, MAX_SIDE // self.autoencoder.downsampling_factor) % factor:
                raise ConfigurationError(f"'{key}' must be a multiple of {factor}, found {getattr(self, key)}.")

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the sizes fit the networks."""
        multiple = self.autoencoder.downsampling_factor * self.unet.downsampling_factor
        for name in ('height', 'width'):
            legal_size(name, getattr(arguments, name), multiple)

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        pixels = self.autoencoder.downsampling_factor
        return {
            **super().call_defaults(model_args),
            **({} if self.timestep_spacing is None else {'timestep_spacing': self.timestep_spacing}),
            'num_frames': self.max_frames,
            'height': self.latent_hei * pixels,
            'width': self.latent_wid * pixels,
            'fps': self.target_fps,
        }

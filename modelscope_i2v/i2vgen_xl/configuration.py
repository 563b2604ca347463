"""Section ``model.model_cfg`` of the second generation of image-to-video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import text
from modelscope_i2v.generation.picture_configuration import PictureConfiguration
from modelscope_i2v.i2vgen_xl.prompts import NEGATIVE_PROMPT
from modelscope_i2v.i2vgen_xl.samplers import SAMPLERS

if TYPE_CHECKING:
    from modelscope_i2v.model_folder import ModelArguments


@dataclass(frozen=True, kw_only=True)
class I2VGenXLConfiguration(PictureConfiguration):
    """The second generation.

    Attributes:
        height, width: in pixels; pictures of another aspect ratio get the same area.
        negative_prompt: what guidance steers away from.
    """

    target_fps: float = 16
    max_frames: int = 16
    height: int = 704
    width: int = 1280
    guidance_scale: float = 9.0
    solver: str | None = 'ddim'
    negative_prompt: str = NEGATIVE_PROMPT

    solvers = tuple(SAMPLERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        text('negative_prompt', self.negative_prompt)
        self.grid.check_configured(self.height, self.width)

    @property
    def configured_size(self) -> tuple[int, int]:
        return self.height, self.width

    def frames_encoded(self, arguments: Any, num_frames: int) -> int:
        """The picture: the network is given its latents."""
        return 1

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        return {**super().call_defaults(model_args), 'negative_prompt': self.negative_prompt}

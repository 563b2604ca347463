"""Section ``model.model_cfg`` of the stages whose input is a picture, whose shape the video may follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import choice
from modelscope_i2v.generation.arguments import SPACINGS
from modelscope_i2v.generation.configuration import StageConfiguration
from modelscope_i2v.generation.geometry import Grid, closest_canvas
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.networks.parameters import ImageToVideoUNetParameters

if TYPE_CHECKING:
    from modelscope_i2v.model_folder import ModelArguments


@dataclass(frozen=True, kw_only=True)
class PictureConfiguration(StageConfiguration):
    """A stage that turns pictures into videos.

    Attributes:
        timestep_spacing: default of the call's argument; None means the solver's own.
    """

    timestep_spacing: str | None = None
    unet: ImageToVideoUNetParameters = field(default_factory=ImageToVideoUNetParameters)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timestep_spacing is not None:
            choice('timestep_spacing', self.timestep_spacing, SPACINGS)

    @property
    def configured_size(self) -> tuple[int, int]:
        """Height and width in pixels; a video that follows its picture gets the same area."""
        raise NotImplementedError

    @property
    def grid(self) -> Grid:
        """The sizes in pixels that the networks can take: the latents must be divisible by two at every level."""
        multiple = self.autoencoder.downsampling_factor * self.unet.downsampling_factor
        return Grid(multiple, 0, multiple)

    def size_for(
        self, aspect: float, height: int | None = None, width: int | None = None, fit: str = 'keep'
    ) -> tuple[int, int]:
        """Height and width of a video for a picture of ``aspect`` (width / height).

        Given sides stay. If one is missing, it follows the aspect; if both are, so do they, at the configured area.

        Args:
            fit: the argument of a call, for stages whose videos do not always follow the picture.
        """
        if height is not None and width is not None:
            return height, width
        tall, wide = self.configured_size
        return closest_canvas(aspect, self.grid, area=tall * wide, height=height, width=width)

    def video_size(self, arguments: Any, given: InputSize | None = None) -> VideoSize:
        """The size for the picture. While that is not known: the configured one, or the least beside a given side."""
        height, width = arguments.height, arguments.width
        if given is not None:
            height, width = self.size_for(given.aspect, height, width, arguments.fit)
        elif height is None and width is None:
            height, width = self.configured_size
        grid = self.grid
        return VideoSize(arguments.num_frames, height or grid.height_multiple, width or grid.width_multiple)

    def smaller_sizes(self, arguments: Any, given: InputSize | None = None) -> Iterator[dict[str, Any]]:
        """Heights, which the width follows; with widths if the call gives both, or if the picture is not known yet."""
        size, grid = self.video_size(arguments, given), self.grid
        both = given is None or (arguments.height is not None and arguments.width is not None)
        for height in range(size.height - grid.height_multiple, 0, -grid.height_multiple):
            steps = max(1, round(height * size.width / size.height / grid.width_multiple))
            yield {'height': height, 'width': steps * grid.width_multiple if both else None}

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the sizes fit the networks."""
        self.grid.check(arguments.height, arguments.width)

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        return {
            **super().call_defaults(model_args),
            **({} if self.timestep_spacing is None else {'timestep_spacing': self.timestep_spacing}),
            'num_frames': self.max_frames,
            'fps': self.target_fps,
        }

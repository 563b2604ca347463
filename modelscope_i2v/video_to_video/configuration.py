"""Section ``model.model_cfg`` of stage 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelscope_i2v.checks import integer, text
from modelscope_i2v.diffusion.windows import window_starts
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.configuration import StageConfiguration
from modelscope_i2v.generation.geometry import Grid, Placement, keep_aspect, stretch
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.video_to_video.prompts import NEGATIVE_PROMPT, POSITIVE_PROMPT
from modelscope_i2v.video_to_video.samplers import SAMPLERS

if TYPE_CHECKING:
    from modelscope_i2v.model_folder import ModelArguments


@dataclass(frozen=True, kw_only=True)
class VideoToVideoConfiguration(StageConfiguration):
    """Stage 2.

    Attributes:
        height, width: in pixels; videos of another aspect ratio get the same area.
        noise_level: how much noise is added to the input, out of 1000.
        positive_prompt: follows the user's text.
        negative_prompt: what guidance steers away from.
        latent_hei, latent_wid: in the hub's files, but without effect.
    """

    height: int = 720
    width: int = 1280
    noise_level: int = 600
    guidance_scale: float = 7.5
    guidance_rescale: float = 0.2
    positive_prompt: str = POSITIVE_PROMPT
    negative_prompt: str = NEGATIVE_PROMPT
    latent_hei: Any = None
    latent_wid: Any = None

    solvers = tuple(SAMPLERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        integer('noise_level', self.noise_level, 1, 999)
        for key in ('positive_prompt', 'negative_prompt'):
            text(key, getattr(self, key))
        self.grid.check_configured(self.height, self.width)

    @property
    def grid(self) -> Grid:
        """The sizes in pixels that the networks can take: the latents must be divisible by two at every level."""
        pixels, levels = self.autoencoder.downsampling_factor, self.unet.downsampling_factor
        return Grid(levels * pixels, 2 % levels * pixels, levels * pixels)

    def placement(
        self, aspect: float, *, height: int | None = None, width: int | None = None, fit: str = 'keep'
    ) -> Placement:
        """Where frames of ``aspect`` (width / height) lie on the canvas that the networks see.

        Raises:
            InputError: for a size that the networks cannot take.
        """
        self.grid.check(height, width)
        if fit == 'stretch':
            return stretch(height or self.height, width or self.width)
        if height is not None and width is not None:
            return stretch(height, width)
        return keep_aspect(aspect, self.grid, area=self.height * self.width, height=height, width=width)

    def video_size(self, arguments: Any, given: InputSize | None = None) -> VideoSize:
        """The canvas, at the input's aspect ratio. While the input is not known: the least that it can be."""
        sides = {'height': arguments.height, 'width': arguments.width}
        if given is None and arguments.fit == 'keep' and any(sides.values()) and not all(sides.values()):
            grid = self.grid
            height = arguments.height or grid.height_remainder or grid.height_multiple
            return VideoSize(arguments.num_frames, height, arguments.width or grid.width_multiple)
        aspect = self.width / self.height if given is None else given.aspect
        placement = self.placement(aspect, **sides, fit=arguments.fit)
        return VideoSize(arguments.num_frames, placement.canvas_height, placement.canvas_width)

    def frames_encoded(self, arguments: Any, num_frames: int) -> int:
        """All of them: sampling starts from the noised input."""
        return num_frames

    def frames_together(self, num_frames: int) -> int:
        """A window of ``max_frames`` frames."""
        return min(num_frames, self.max_frames)

    def window_overlap(self, arguments: Any, num_frames: int) -> int:
        """The requested overlap; by default 8 frames, fewer only if windows are shorter than 16."""
        if arguments.window_overlap is None or num_frames <= self.max_frames:
            return min(8, self.max_frames // 2)
        return int(arguments.window_overlap)

    def windows(self, arguments: Any, num_frames: int) -> int:
        """Overlapping ones, see :func:`~modelscope_i2v.diffusion.windows.window_starts`."""
        return len(window_starts(num_frames, self.max_frames, self.window_overlap(arguments, num_frames)))

    def smaller_sizes(self, arguments: Any, given: InputSize | None = None) -> Iterator[dict[str, Any]]:
        """Heights, which the width follows; with widths only if the call gives both, or stretches."""
        size, grid = self.video_size(arguments, given), self.grid
        both = arguments.fit == 'stretch' or (arguments.height is not None and arguments.width is not None)
        for height in range(size.height - grid.height_multiple, 0, -grid.height_multiple):
            steps = max(1, round(height * size.width / size.height / grid.width_multiple))
            yield {'height': height, 'width': steps * grid.width_multiple if both else None}

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the sizes fit the networks, and the overlap fits its windows."""
        self.grid.check(arguments.height, arguments.width)
        if arguments.window_overlap is not None:
            integer('window_overlap', arguments.window_overlap, 0, self.max_frames - 1, error=InputError)

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        return {
            **super().call_defaults(model_args),
            'noise_level': self.noise_level,
            'negative_prompt': self.negative_prompt,
            'solver_mode': 'fast' if model_args is not None and model_args.solver_mode == 'fast' else 'normal',
        }

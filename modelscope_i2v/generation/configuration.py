"""Section ``model.model_cfg`` of configuration.json: what all stages share, as a frozen dataclass that checks itself.

Only the keys of the hub's own files are required; every other key is optional and defaults to the original's value.
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from modelscope_i2v.checks import as_mapping, choice, integer, number, parse_section
from modelscope_i2v.errors import ConfigurationError, shown
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.media.limits import MAX_FPS, MAX_FRAMES, MIN_FPS
from modelscope_i2v.networks.parameters import AutoencoderParameters, UNetParameters

if TYPE_CHECKING:
    from modelscope_i2v.model_folder import ModelArguments

logger = logging.getLogger(__name__)

TOO_MANY_STEPS = "This model was trained for 'steps' up to %d, found %d. The video will be worse: leave 'steps' out."

Configuration = TypeVar('Configuration', bound='StageConfiguration')


@dataclass(frozen=True, kw_only=True)
class StageConfiguration:
    """The keys that every stage's section has.

    Attributes:
        batch_size: in the hub's files, but without effect; one call makes one video.
        target_fps: frames per second of a video that does not state them; stage 1's network is conditioned on it.
        max_frames: number of frames of stage 1's videos; number of frames that stage 2's network sees at a time.
        steps, guidance_scale, guidance_rescale, guidance_min_timestep, solver: defaults of the call's arguments; None
            means the solver's own number of steps, or the stage's own solver.
        most_steps: a call with more steps than the network was trained for makes a worse video, and warns. None: any
            number is fine.
        clip: an open_clip architecture name, or an open_clip model configuration.
    """

    batch_size: int = 1
    target_fps: float = 8
    max_frames: int = 32
    steps: int | None = None
    most_steps: int | None = None
    guidance_scale: float = 3.0
    guidance_rescale: float = 0.0
    guidance_min_timestep: int = 0
    solver: str | None = None
    unet: UNetParameters = field(default_factory=UNetParameters)
    autoencoder: AutoencoderParameters = field(default_factory=AutoencoderParameters)
    clip: str | Mapping[str, Any] = 'ViT-H-14'

    #: The solvers of the stage.
    solvers: ClassVar[Iterable[str]]

    def __post_init__(self) -> None:
        integer('batch_size', self.batch_size)
        integer('max_frames', self.max_frames, 1, MAX_FRAMES)
        number('target_fps', self.target_fps, MIN_FPS, MAX_FPS)
        number('guidance_scale', self.guidance_scale, 0, 1000)
        number('guidance_rescale', self.guidance_rescale, 0, 1)
        integer('guidance_min_timestep', self.guidance_min_timestep, 0, 1000)
        if self.solver is not None:
            choice('solver', self.solver, self.solvers)
        if self.steps is not None:
            integer('steps', self.steps, 1, 1000)
        if self.most_steps is not None:
            integer('most_steps', self.most_steps, 1, 1000)
        if not isinstance(self.clip, (str, Mapping)):
            raise ConfigurationError(
                f"'clip' must be an architecture name or a configuration, found {shown(self.clip)}."
            )
        if not self.unet.in_channels == self.unet.out_channels == self.autoencoder.embed_dim:
            raise ConfigurationError(
                f"'unet.in_channels' ({self.unet.in_channels}), 'unet.out_channels' ({self.unet.out_channels}) and "
                f"'autoencoder.embed_dim' ({self.autoencoder.embed_dim}) must be equal: "
                'each is the number of latent channels.'
            )

    @classmethod
    def parse(
        cls: type[Configuration], section: Any, file: str | os.PathLike[str], place: str = 'model.model_cfg'
    ) -> Configuration:
        """Parse the section, including its subsections, from JSON values. Unknown keys only cause a warning.

        Raises:
            ConfigurationError: naming file, section, key, what was found and what is allowed.
        """
        fields = as_mapping(section, file, place)
        for item in dataclasses.fields(cls):
            if item.name in fields and dataclasses.is_dataclass(item.default_factory):
                kind: Any = item.default_factory
                fields[item.name] = parse_section(kind, fields[item.name], file, f'{place}.{item.name}')
        return parse_section(cls, fields, file, place)

    def warn(self, arguments: Any) -> None:
        """Log what will make the video of a call worse than it could be."""
        if self.most_steps is not None and arguments.steps is not None and arguments.steps > self.most_steps:
            logger.warning(TOO_MANY_STEPS, self.most_steps, arguments.steps)

    def check_call(self, arguments: Any) -> None:
        """Raise InputError unless the arguments of a call fit the networks."""
        raise NotImplementedError

    def video_size(self, arguments: Any, given: InputSize | None = None) -> VideoSize:
        """What the networks process in a call.

        Args:
            given: the input video, if there is one and it is known.
        """
        return VideoSize(arguments.num_frames, arguments.height, arguments.width)

    def follows_input(self, arguments: Any) -> bool:
        """Whether the size of a call's video follows a picture, so that it is not known before that is."""
        return False

    def frames_encoded(self, arguments: Any, num_frames: int) -> int:
        """How many frames of the input the autoencoder encodes in a call for ``num_frames`` frames."""
        return 0

    def frames_together(self, num_frames: int) -> int:
        """How many of ``num_frames`` frames the UNet sees at a time."""
        return num_frames

    def windows(self, arguments: Any, num_frames: int) -> int:
        """How many such groups of frames the UNet sees in every step."""
        return 1

    def smaller_sizes(self, arguments: Any, given: InputSize | None = None) -> Iterator[dict[str, Any]]:
        """Arguments for smaller videos of about the same aspect ratio, largest first, down to the smallest legal one.

        Args:
            given: as in :meth:`video_size`.
        """
        multiple = self.autoencoder.downsampling_factor * self.unet.downsampling_factor
        for height in range(arguments.height - multiple, 0, -multiple):
            steps = round(height * arguments.width / arguments.height / multiple)
            yield {'height': height, 'width': max(1, steps) * multiple}

    def call_defaults(self, model_args: ModelArguments | None = None) -> dict[str, Any]:
        """The defaults that the model's folder sets for the arguments of a call."""
        names = ('steps', 'guidance_scale', 'guidance_rescale', 'guidance_min_timestep', 'solver')
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return given if model_args is None or model_args.seed is None else {**given, 'seed': model_args.seed}

"""What a call computes, in floating-point operations, and how long that takes at a given rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from modelscope_i2v.generation.autoencoder_memory import portion
from modelscope_i2v.generation.operations import counted, decoding_operations, encoding_operations, unet_operations
from modelscope_i2v.generation.passes import Passes, count_passes

if TYPE_CHECKING:
    from modelscope_i2v.generation.arguments import GenerationArguments
    from modelscope_i2v.generation.configuration import StageConfiguration
    from modelscope_i2v.generation.memory import Weights
    from modelscope_i2v.generation.video_size import VideoSize
    from modelscope_i2v.runtime.execution import Execution
    from modelscope_i2v.stage import Stage

#: Bytes per second that 16 lanes of PCIe 4.0 bring to a card, of 31.5e9 in theory. It is an assumption.
BUS = 25e9


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a call computes.

    Attributes:
        size: of the video, whose frames are known.
        encoded, decoded: frames that the autoencoder encodes and decodes.
        passes: of the UNet.
        whole, outer: operations of one pass of each kind.
        clip: operations of CLIP, each tower once.
    """

    configuration: StageConfiguration
    size: VideoSize
    encoded: int
    decoded: int
    passes: Passes
    whole: int
    outer: int
    clip: int

    @classmethod
    def of(
        cls,
        stage: Stage,
        configuration: StageConfiguration,
        arguments: GenerationArguments,
        size: VideoSize,
        networks: Mapping[str, nn.Module],
    ) -> Work:
        """Count what a call computes.

        Args:
            networks: on the meta device, by the names of their files.
        """
        frames, factor = size.frames or 1, configuration.autoencoder.downsampling_factor
        unet: Any = networks['ckpt_unet']
        clip: Any = networks['ckpt_clip']
        kind: Any = type(unet)
        passes = count_passes(stage, configuration, arguments, frames)
        latents = (configuration.frames_together(frames), size.height // factor, size.width // factor)
        return cls(
            configuration=configuration,
            size=size,
            encoded=configuration.frames_encoded(arguments, frames),
            decoded=0 if arguments.output_type == 'latent' else frames,
            passes=passes,
            whole=unet_operations(kind, unet.config, *latents),
            outer=unet_operations(kind, unet.config, *latents, outer=True) if passes.outer else 0,
            clip=counted(clip.check_forward),
        )

    def operations(self, execution: Execution) -> int:
        """Those of the whole call; bands of the autoencoder's images overlap, which takes more."""
        return self.passes.whole * self.whole + self.passes.outer * self.outer + self._beside(execution)

    def seconds(self, execution: Execution, weights: Weights, rate: float) -> float:
        """The time at ``rate`` operations per second, and for what crosses the bus and does not overlap with it."""
        level = execution.level
        crossing = weights.blocks / BUS if level.streams else 0.0
        sampling = self.passes.whole * max(self.whole / rate, crossing)
        sampling += self.passes.outer * max(self.outer / rate, crossing)
        return sampling + self._beside(execution) / rate + (weights.total / BUS if level.offloads else 0.0)

    def _beside(self, execution: Execution) -> int:
        """Operations of the other networks."""
        parameters, size = self.configuration.autoencoder, self.size
        itemsize, limit = execution.autoencoder_dtype.itemsize, execution.autoencoder_limit
        bands = portion(parameters, size.height, size.width, itemsize=itemsize, limit=limit).bands
        total = self.clip
        if self.encoded:
            total += self.encoded * encoding_operations(parameters, size.height, size.width, bands)
        if self.decoded:
            total += self.decoded * decoding_operations(parameters, size.height, size.width, bands)
        return total

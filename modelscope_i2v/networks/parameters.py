"""Parameters of the networks as frozen dataclasses that refuse impossible values.

Names are those of latent diffusion (LDM); the defaults are the full-size networks of I2VGen-XL.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelscope_i2v.checks import integer, integers, number
from modelscope_i2v.errors import ConfigurationError

#: No network is wider or deeper than this; beyond it, torch cannot even count the weights.
MAX_WIDTH = 100_000
#: No network has more residual blocks and transformers than this; the real ones have 20 to 60. It is checked before
#: the first of them is built, so that no configuration keeps a machine busy.
MAX_BLOCKS = 1000
#: Tokens of a text, as CLIP reads it.
TEXT_TOKENS = 77


def check_blocks(count: int, keys: str) -> None:
    """Raise ConfigurationError, naming the ``keys`` that give it, if ``count`` is more than :data:`MAX_BLOCKS`."""
    if count > MAX_BLOCKS:
        raise ConfigurationError(f'{keys} give {count} blocks; a network has at most {MAX_BLOCKS}. Lower them.')


@dataclass(frozen=True)
class UNetParameters:
    """The parameters that all UNets share.

    Attributes:
        in_channels, out_channels: channels of the latents.
        model_channels: width of the first level.
        channel_mult: width of each level as a multiple of ``model_channels``; its length is the number of levels.
        num_res_blocks: residual blocks per level on the way down (one more on the way up).
        attention_resolutions: downsampling factors (1, 2, 4, ...) of the levels that have attention.
        num_heads: heads of the very first temporal transformer, whose inner width is
            ``num_heads * num_head_channels``, whatever ``model_channels`` is.
        num_head_channels: channels of every head.
        context_dim: channels of one context token of the cross-attention.
        norm_num_groups: groups of every GroupNorm.

    Raises:
        ConfigurationError: for an impossible value; it names the key, what was found and what is allowed.
    """

    in_channels: int = 4
    out_channels: int = 4
    model_channels: int = 320
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    attention_resolutions: tuple[int, ...] = (1, 2, 4)
    num_heads: int = 8
    num_head_channels: int = 64
    context_dim: int = 1024
    norm_num_groups: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, 'channel_mult', integers('channel_mult', self.channel_mult, 1, MAX_WIDTH))
        object.__setattr__(self, 'attention_resolutions', integers('attention_resolutions', self.attention_resolutions))
        for key in ('in_channels', 'out_channels', 'model_channels', 'num_res_blocks', 'num_heads'):
            integer(key, getattr(self, key), 1, MAX_WIDTH)
        for key in ('num_head_channels', 'context_dim', 'norm_num_groups'):
            integer(key, getattr(self, key), 1, MAX_WIDTH)
        # At most three per place: a residual block and two transformers. Down, and with one more of each up.
        check_blocks(3 * len(self.channel_mult) * (2 * self.num_res_blocks + 1), "'channel_mult' and 'num_res_blocks'")
        for key, width in (('channel_mult', max(self.widths)), ('num_heads', self.num_heads * self.num_head_channels)):
            integer(f"width that '{key}' gives", width, 1, MAX_WIDTH)
        if self.model_channels % 2:
            raise ConfigurationError(f"'model_channels' must be even (sine and cosine), found {self.model_channels}.")
        factors = [2**level for level in range(len(self.channel_mult))]
        unknown = [factor for factor in self.attention_resolutions if factor not in factors]
        if unknown:
            raise ConfigurationError(
                f"'attention_resolutions' must be among the downsampling factors {factors} that "
                f"'channel_mult' {list(self.channel_mult)} gives, found {unknown}."
            )
        if self.model_channels % self.norm_num_groups:
            raise ConfigurationError(
                f"'model_channels' must be a multiple of 'norm_num_groups' ({self.norm_num_groups}), "
                f'found {self.model_channels}.'
            )
        attended = {self.model_channels * self.channel_mult[factors.index(f)] for f in self.attention_resolutions}
        attended.add(self.model_channels * self.channel_mult[-1])  # the middle block always attends
        uneven = sorted(width for width in attended if width % self.num_head_channels)
        if uneven:
            raise ConfigurationError(
                f"'num_head_channels' must divide the width of every level with attention {sorted(attended)}, "
                f'found {self.num_head_channels}, which does not divide {uneven}.'
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.model_channels * multiple for multiple in self.channel_mult)

    @property
    def time_embed_dim(self) -> int:
        """Channels of the timestep embedding."""
        return 4 * self.model_channels

    @property
    def downsampling_factor(self) -> int:
        """How many latent pixels of the finest level one pixel of the coarsest covers, per side."""
        return int(2 ** (len(self.channel_mult) - 1))


@dataclass(frozen=True)
class ImageToVideoUNetParameters(UNetParameters):
    """Both generations of stage 1: an image embedding of ``image_embed_dim`` becomes ``num_image_tokens`` tokens."""

    image_embed_dim: int = 1024
    num_image_tokens: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ('image_embed_dim', 'num_image_tokens'):
            integer(key, getattr(self, key), 1, MAX_WIDTH)


@dataclass(frozen=True)
class AutoencoderParameters:
    """The KL autoencoder of Stable Diffusion 2.1.

    Attributes:
        z_channels: channels of the decoder's input and, doubled (mean and log-variance), of the encoder's output.
        embed_dim: channels of the latents.
        channels: width of the finest level.
        channel_mult: width of each level as a multiple of ``channels``; each level but the last halves the size.
        num_res_blocks: residual blocks per level of the encoder (one more in the decoder).
        norm_num_groups: groups of every GroupNorm.
        attention: whether the coarsest level has attention. Its time grows with the fourth power of a side, so that
            autoencoders of a small factor do without.
        scale_factor: latents = ``scale_factor`` x the encoder's output; it decides how soon noise drowns them.
    """

    z_channels: int = 4
    embed_dim: int = 4
    channels: int = 128
    channel_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    norm_num_groups: int = 32
    attention: bool = True
    scale_factor: float = 0.18215

    def __post_init__(self) -> None:
        object.__setattr__(self, 'channel_mult', integers('channel_mult', self.channel_mult, 1, MAX_WIDTH))
        for key in ('z_channels', 'embed_dim', 'channels', 'num_res_blocks', 'norm_num_groups'):
            integer(key, getattr(self, key), 1, MAX_WIDTH)
        check_blocks(len(self.channel_mult) * (2 * self.num_res_blocks + 1), "'channel_mult' and 'num_res_blocks'")
        if not isinstance(self.attention, bool):
            raise ConfigurationError(f"'attention' must be true or false, found {self.attention!r}.")
        integer("width that 'channel_mult' gives", self.channels * max(self.channel_mult), 1, MAX_WIDTH)
        number('scale_factor', self.scale_factor, 0.0, float('inf'), open_low=True)
        if self.channels % self.norm_num_groups:
            raise ConfigurationError(
                f"'channels' must be a multiple of 'norm_num_groups' ({self.norm_num_groups}), found {self.channels}."
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, finest first."""
        return tuple(self.channels * multiple for multiple in self.channel_mult)

    @property
    def downsampling_factor(self) -> int:
        """Pixels per latent pixel, per side."""
        return int(2 ** (len(self.channel_mult) - 1))

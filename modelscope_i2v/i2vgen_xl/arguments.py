"""The arguments of a call of the second generation of image-to-video."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from modelscope_i2v.checks import text
from modelscope_i2v.errors import InputError
from modelscope_i2v.generation.arguments import FROM_MODEL, option
from modelscope_i2v.i2vgen_xl.prompts import NEGATIVE_PROMPT
from modelscope_i2v.i2vgen_xl.samplers import PRESETS
from modelscope_i2v.image_to_video.arguments import PictureArguments

BY_PICTURE = "from the picture's aspect ratio"
#: Frames per second that the original writes, whatever the network is conditioned on.
OUTPUT_FPS = 8.0


@dataclass(frozen=True, kw_only=True)
class I2VGenXLArguments(PictureArguments):
    """The arguments of the first generation, and texts. ``height`` and ``width`` follow the picture if None."""

    guidance_scale: float = option(
        9.0, 'strength of classifier-free guidance; 1 skips the unconditional pass', cli=float, default_text=FROM_MODEL
    )
    num_frames: int | None = option(16, 'number of frames', cli=int, default_text=FROM_MODEL)
    height: int | None = option(None, 'height in pixels', cli=int, default_text=BY_PICTURE)
    width: int | None = option(None, 'width in pixels', cli=int, default_text=BY_PICTURE)
    output_fps: float | None = option(OUTPUT_FPS, 'frame rate of the written file', cli=float)
    fps: float = option(16, 'frames per second that the network is conditioned on', cli=float, default_text=FROM_MODEL)
    noise_strength: float = option(0.0, 'strength of the noise shared by all pixels of a frame', cli=float)
    text: str = option('', 'what the video shows', cli=str, default_text='none')
    negative_prompt: str = option(
        NEGATIVE_PROMPT, 'what guidance steers away from', cli=str, default_text=f'{FROM_MODEL}, a list of flaws'
    )

    presets = PRESETS
    aliases = MappingProxyType({'caption': 'text'})

    def __post_init__(self) -> None:
        text('text', self.text, error=InputError)
        text('negative_prompt', self.negative_prompt, error=InputError)
        super().__post_init__()

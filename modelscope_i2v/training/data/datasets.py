"""From files to clips: which part of a video, at which rate, and which part of the frame."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from modelscope_i2v.checks import choice, integer, number
from modelscope_i2v.errors import ConfigurationError, InputError
from modelscope_i2v.media.images.load import load_image
from modelscope_i2v.media.limits import MAX_FPS, MAX_SIDE, MIN_FPS
from modelscope_i2v.training.data.clips import Clip
from modelscope_i2v.training.data.frame_index import TIME_SLACK, FrameIndex, index_frames
from modelscope_i2v.training.data.sources import Example

logger = logging.getLogger(__name__)

CROPS = ('center', 'random')
# A video of 29.97 frames per second may be sampled at 30: one frame in a thousand is then used twice.
_RATE_SLACK = 1.01


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How clips are cut out of videos and pictures.

    Attributes:
        num_frames: the number of frames of a clip.
        height, width: the size of a clip in pixels.
        fps: the rate at which videos are sampled, in frames per second. From a list, one rate is drawn for each clip
            and kept in :attr:`Clip.fps <modelscope_i2v.training.data.clips.Clip.fps>`.
        crop: which part to use of a frame with another aspect ratio: the ``'center'``, or a ``'random'`` part.
        flip: the probability of mirroring left and right. Texts do not change, so leave it at 0 if they mention left or
            right.
        seed: the seed of all random choices.

    Raises:
        ConfigurationError: for an impossible value. It names the setting, what was found and what is allowed.
    """

    num_frames: int = 16
    height: int = 256
    width: int = 448
    fps: float | Sequence[float] = 8.0
    crop: str = 'random'
    flip: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        integer('num_frames', self.num_frames)
        integer('height', self.height, 1, MAX_SIDE)
        integer('width', self.width, 1, MAX_SIDE)
        rates = tuple(self.fps) if isinstance(self.fps, (list, tuple)) else (self.fps,)
        if not rates:
            raise ConfigurationError("'fps' must be a number or a non-empty list of numbers, found [].")
        # Equal settings must look the same: they are part of the keys of the latent cache.
        object.__setattr__(self, 'fps', tuple(number('fps', rate, MIN_FPS, MAX_FPS) for rate in rates))
        choice('crop', self.crop, CROPS)
        number('flip', self.flip, 0, 1)
        integer('seed', self.seed, 0, 2**31 - 1)

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates to draw from."""
        return tuple(self.fps)  # type: ignore[arg-type]


class ClipDataset:
    """Clips of ``examples``. Each is a pure function of the settings, the example (file name and part) and the epoch.

    A video is sampled by its time stamps. The frames of a clip are those shown at ``start + k / fps``, where ``start``
    is the time of a randomly chosen frame. Videos are neither slowed down nor padded. Rates above the video's own, and
    rates at which the clip would reach beyond its end, are not drawn. If no rate is left, the video cannot be used.
    Frames are scaled with antialiasing until they cover the clip, keeping their aspect ratio, and then cropped. All
    frames of a clip get the same crop.
    """

    def __init__(self, examples: Sequence[Example], settings: ClipSettings) -> None:
        self.examples = tuple(examples)
        self.settings = settings
        self._indices: dict[int, FrameIndex] = {}

    def __len__(self) -> int:
        return len(self.examples)

    def of_kind(self, kind: str) -> list[int]:
        """The indices of the examples that are videos (``'video'``) or pictures (``'image'``)."""
        return [index for index, example in enumerate(self.examples) if example.kind == kind]

    def clip(self, index: int, epoch: int = 0) -> Clip:
        """A clip of example ``index``, different in each epoch. Pictures become clips of one frame.

        Raises:
            InputError: if the file, which it names, is missing, damaged, or too short or slow for the settings.
        """
        example = self.examples[index]
        if example.kind == 'image':
            return self.picture(index, epoch)
        return self._sample(index, epoch, self.settings.num_frames)

    def picture(self, index: int, epoch: int = 0) -> Clip:
        """A clip of one frame of example ``index``: the picture, or any frame of the video.

        A single frame has no rate of its own, so any rate of the settings may be drawn. Errors as for :meth:`clip`.
        """
        example = self.examples[index]
        if example.kind == 'video':
            return self._sample(index, epoch, 1)
        rng = self._rng(example, epoch)
        image = load_image(example.path)
        fps = float(rng.choice(self.settings.rates))
        crop = self._crop(image.width, image.height, image.width / image.height, rng)
        return Clip(crop(np.asarray(image))[None], fps, example.text)

    def _sample(self, index: int, epoch: int, num_frames: int) -> Clip:
        example = self.examples[index]
        rng = self._rng(example, epoch)
        if index not in self._indices:
            self._indices[index] = index_frames(example.path)
        video = self._indices[index]
        fps = float(rng.choice(_fitting_rates(video, example, self.settings, num_frames)))
        start = rng.choice(_starts(video, example, num_frames, fps))
        wanted = video.shown_at(start + np.arange(num_frames) / fps)
        frames = video.read(wanted.tolist(), self._crop(video.width, video.height, video.aspect, rng))
        return Clip(frames, fps, example.text)

    def _rng(self, example: Example, epoch: int) -> np.random.Generator:
        # Neither the index nor the folder counts: adding files or moving all of them does not change existing clips.
        name = zlib.crc32(f'{example.path.name} {example.start} {example.end}'.encode('utf-8', 'surrogateescape'))
        return np.random.default_rng((self.settings.seed, name, epoch))

    def _crop(
        self, width: int, height: int, aspect: float, rng: np.random.Generator
    ) -> Callable[[np.ndarray], np.ndarray]:
        """A function that crops and scales frames for a clip: ``height`` x ``width`` pixels, shown with ``aspect``."""
        settings = self.settings
        ratio = settings.width / settings.height
        # The largest part of the frame with the aspect ratio of a clip, in pixels, which need not be square.
        part = (width * min(1.0, ratio / aspect), height * min(1.0, aspect / ratio))
        place = rng.random(2)
        if settings.crop == 'center':
            place[:] = 0.5
        left, top = (width - part[0]) * place[0], (height - part[1]) * place[1]
        box = (left, top, min(left + part[0], width), min(top + part[1], height))
        size = (settings.width, settings.height)
        mirror = rng.random() < settings.flip

        def crop(pixels: np.ndarray) -> np.ndarray:
            # When Pillow reduces an image it widens its filters, which is the antialiasing.
            image = Image.fromarray(pixels).resize(size, resample=Image.Resampling.BICUBIC, box=box)
            return np.ascontiguousarray(np.array(image)[:, ::-1]) if mirror else np.array(image)

        return crop


def usable_examples(examples: Iterable[Example], settings: ClipSettings) -> list[Example]:
    """The examples from which clips can be made; the others are skipped with a warning, before training starts.

    It decodes pictures, but only the first frame of videos. Damage in the middle of a video shows up when it is used.

    Raises:
        InputError: if none of the examples can be used.
    """
    usable, problems = [], []
    for example in examples:
        try:
            if example.kind == 'video':
                _fitting_rates(index_frames(example.path), example, settings, settings.num_frames)
            else:
                load_image(example.path)
        except InputError as error:
            logger.warning('Skipped: %s', error)
            problems.append(error)
        else:
            usable.append(example)
    if not usable:
        first = f' The first problem: {problems[0]}' if problems else ''
        raise InputError(f'None of the {len(problems)} examples can be used for training.{first}')
    return usable


def _fitting_rates(video: FrameIndex, example: Example, settings: ClipSettings, num_frames: int) -> list[float]:
    """The rates at which a clip of ``num_frames`` fits into the example; raises InputError if there are none."""
    rates = [
        rate
        for rate in settings.rates
        if (num_frames == 1 or rate <= video.fps * _RATE_SLACK) and len(_starts(video, example, num_frames, rate))
    ]
    if rates:
        return rates
    whole = not example.start and example.end is None
    part = f'{video.end:.3g} s' if whole else f'{example.start:g} s to {_end(video, example):.3g} s of it'
    raise InputError(
        f"The video file '{example.path}' is too short or too slow for num_frames={num_frames} at "
        f'fps={list(settings.rates)}: found {part}, {video.fps:.4g} frames per second. Remove it, lower num_frames, or '
        f'choose an fps that fits.'
    )


def _starts(video: FrameIndex, example: Example, num_frames: int, fps: float) -> np.ndarray:
    """The times of all frames at which a clip may start."""
    last = video.times + (num_frames - 1) / fps
    return video.times[(video.times >= example.start) & (last < _end(video, example) - TIME_SLACK)]


def _end(video: FrameIndex, example: Example) -> float:
    return min(video.end, math.inf if example.end is None else example.end)

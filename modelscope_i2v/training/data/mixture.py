"""The examples of each batch: an endless, stateless order, so that training can resume at any step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelscope_i2v.checks import integer
from modelscope_i2v.errors import ConfigurationError, InputError, shown


@dataclass(frozen=True, kw_only=True)
class MixtureSettings:
    """How batches are made up.

    Attributes:
        video_to_image: how many batches of clips to use in a row, and then how many of single pictures. ``(0, 1)``
            trains on pictures only, ``(1, 0)`` on clips only.
        batch_size: examples in a batch of clips.
        image_batch_size: examples in a batch of pictures; None means ``batch_size``.
        seed: the seed of the order.

    Raises:
        ConfigurationError: for an impossible value. It names the setting, what was found and what is allowed.
    """

    video_to_image: tuple[int, int] = (7, 1)
    batch_size: int = 1
    image_batch_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        ratio = self.video_to_image
        if not isinstance(ratio, (list, tuple)) or len(ratio) != 2:
            raise ConfigurationError(
                f"'video_to_image' must be two whole numbers such as [7, 1], found {shown(ratio)}."
            )
        for index, value in enumerate(ratio):
            integer(f'video_to_image[{index}]', value, 0)
        if not any(ratio):
            raise ConfigurationError("'video_to_image' must not be [0, 0]: there would be no batches.")
        integer('batch_size', self.batch_size)
        if self.image_batch_size is not None:
            integer('image_batch_size', self.image_batch_size)
        integer('seed', self.seed, 0, 2**31 - 1)


@dataclass(frozen=True)
class BatchPlan:
    """The contents of a batch.

    Attributes:
        kind: ``'video'`` for clips, ``'image'`` for single pictures.
        examples: the indices of the examples.
        epochs: for each example, how many times all examples of its kind have been used before.
    """

    kind: str
    examples: tuple[int, ...]
    epochs: tuple[int, ...]


class Mixture:
    """The endless sequence of batches.

    Every example of a kind is used once before any is used again; the order of each epoch is a permutation drawn from
    the seed and the epoch. Without pictures, single frames of the videos take their place. Without videos, all batches
    are of pictures.

    Args:
        videos, images: the indices of the examples of each kind.

    Raises:
        InputError: if there are no examples, or if there are only pictures and the settings exclude pictures.
    """

    def __init__(self, videos: Sequence[int], images: Sequence[int], settings: MixtureSettings) -> None:
        if not videos and not images:
            raise InputError('There are no examples to train on. Give at least one video or picture.')
        if not videos and not settings.video_to_image[1]:
            raise InputError(
                f'There are {len(images)} pictures and no videos to train on, but video_to_image='
                f'{tuple(settings.video_to_image)} asks for videos only. Add videos, or set it to (0, 1).'
            )
        self._pools = {'video': tuple(videos), 'image': tuple(images or videos)}
        self._ratio = tuple(settings.video_to_image) if videos else (0, 1)
        self._sizes = {'video': settings.batch_size, 'image': settings.image_batch_size or settings.batch_size}
        self._seed = settings.seed

    def batch(self, number: int) -> BatchPlan:
        """Batch ``number``, from 0."""
        clips, pictures = self._ratio
        turn, place = divmod(number, clips + pictures)
        if place < clips:
            return self._plan('video', turn * clips + place)
        return self._plan('image', turn * pictures + place - clips)

    def _plan(self, kind: str, number: int) -> BatchPlan:
        """Batch ``number`` among those of its kind."""
        pool, size = self._pools[kind], self._sizes[kind]
        epochs, places = np.divmod(np.arange(number * size, (number + 1) * size), len(pool))
        orders = {epoch: self._order(kind, epoch) for epoch in np.unique(epochs).tolist()}
        examples = [pool[orders[epoch][place]] for epoch, place in zip(epochs.tolist(), places, strict=True)]
        return BatchPlan(kind, tuple(examples), tuple(epochs.tolist()))

    def _order(self, kind: str, epoch: int) -> np.ndarray:
        words = (self._seed, epoch, int(kind == 'image'))
        return np.random.default_rng(words).permutation(len(self._pools[kind]))

"""Batches of encoded clips, read from the latent cache if they are in it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import Dataset

from modelscope_i2v.checks import integer
from modelscope_i2v.training.data.clips import Clip
from modelscope_i2v.training.data.datasets import ClipDataset
from modelscope_i2v.training.data.latent_cache import EncodedClip, LatentCache
from modelscope_i2v.training.data.mixture import Mixture


class CachedClips(Dataset[dict[str, torch.Tensor]]):
    """The batches for :func:`~modelscope_i2v.training.loop.fit.fit`: batch ``i`` is ``batches[i]``, for any ``i``.

    Args:
        clips: the examples.
        mixture: chooses the examples of each batch.
        cache: holds the encoded clips.
        encode: encodes a clip. It must be a pure function that matches the fingerprint of the cache. It runs in the
            process that prepares batches, so encoders on a GPU need ``num_workers=0``.
        variants: how many different clips (starts, crops, mirrorings) of each example are kept. Epoch ``n`` uses
            variant ``n % variants``.

    Raises:
        ConfigurationError: if ``variants`` is below 1 or not a whole number.
    """

    def __init__(
        self,
        clips: ClipDataset,
        mixture: Mixture,
        cache: LatentCache,
        encode: Callable[[Clip], EncodedClip],
        *,
        variants: int = 1,
    ) -> None:
        self._clips = clips
        self._mixture = mixture
        self._cache = cache
        self._encode = encode
        self._variants = integer('variants', variants)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Batch ``number``, from 0.

        Returns:
            ``mean`` and ``logvar`` float16 ``[B, 4, F, h, w]``, ``condition`` float16 ``[B, 1, E]`` or ``[B, L, C]``,
            ``fps`` float32 ``[B]``.

        Raises:
            InputError: if an example's file is missing, damaged or too short.
            OutputError: if the cache cannot be written.
        """
        plan = self._mixture.batch(number)
        turns = zip(plan.examples, plan.epochs, strict=True)
        encoded = [self._encoded(plan.kind, index, epoch % self._variants) for index, epoch in turns]
        names = ('mean', 'logvar', 'condition')
        tensors = {name: torch.stack([getattr(clip, name) for clip in encoded]) for name in names}
        return {**tensors, 'fps': torch.tensor([clip.fps for clip in encoded])}

    def _encoded(self, kind: str, index: int, variant: int) -> EncodedClip:
        example = self._clips.examples[index]
        key = self._cache.key(example.path, kind, example, self._clips.settings, variant)
        found = self._cache.get(key)
        if found is None:
            take = self._clips.clip if kind == 'video' else self._clips.picture
            found = self._encode(take(index, variant))
            self._cache.put(key, found)
        return found

"""The phases of the recipe, one after the other. What is finished is not done again."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from demo_training.autoencoder import latent_scale
from demo_training.emoji_and_photographs import autoencoder, towers, unet
from demo_training.emoji_and_photographs.architecture import AUTOENCODER, CLIP, UNET
from demo_training.emoji_and_photographs.data import Data, data_fingerprint, load_data
from demo_training.emoji_and_photographs.finished import FINISHED, finished_network
from demo_training.emoji_and_photographs.latents import Encoders, encoded_clips
from demo_training.emoji_and_photographs.moves import FPS, NUM_FRAMES
from demo_training.emoji_and_photographs.precision import fastest_precision
from demo_training.emoji_and_photographs.rendering import SIDE
from demo_training.emoji_and_photographs.stills import KINDS, still
from demo_training.emoji_and_photographs.stopping import Stop
from demo_training.emoji_and_photographs.unet import scale_factor
from demo_training.emoji_and_photographs.world import world_fingerprint
from modelscope_i2v.checks import number
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.networks import AutoencoderKL, I2VGenXLUNet
from modelscope_i2v.networks.clip import ClipEncoders
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.weights.save import save_model

Module = TypeVar('Module', bound=nn.Module)

#: Pictures by which the scale of latents is measured.
MEASURED = 256
#: The distance between the first seeds of two phases.
SEEDS_A_PHASE = 1_000_000
#: Defaults of a call.
CALL: dict[str, Any] = {
    'target_fps': FPS,
    'max_frames': NUM_FRAMES,
    'height': SIDE,
    'width': SIDE,
    'guidance_scale': 1.5,
    'steps': 20,
    'timestep_spacing': 'trailing',
    'negative_prompt': '',
}


@dataclass(frozen=True)
class Recipe:
    """The whole training.

    Attributes:
        folder: for packages, what is made from them, checkpoints and logs.
        scale: the share of all steps and clips to do; a small one tries everything in minutes.
        finished: the folder of networks that are trained already.
        keep: write to ``finished`` what is trained here.
        stop: whether to stop after the current step.
    """

    folder: Path
    scale: float = 1.0
    finished: Path = FINISHED
    keep: bool = False
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        number('scale', self.scale, 0, 1, open_low=True)

    def run(self) -> None:
        """Do what is not done yet.

        Raises:
            ConfigurationError: if ``folder`` holds something made with other settings or from other networks.
            KeyboardInterrupt: if it was stopped; it goes on from there when it is run again.
        """
        networks = {'ckpt_autoencoder': self.autoencoder, 'ckpt_clip': self.towers, 'ckpt_unet': self.unet}
        autoencoder_cfg = {**AUTOENCODER, 'scale_factor': scale_factor(self.latent_scale)}
        model_cfg = {**CALL, 'autoencoder': autoencoder_cfg, 'clip': CLIP, 'unet': UNET}
        save_model(self.folder / 'model', I2VGEN_XL, networks, model_cfg)

    @cached_property
    def data(self) -> Data:
        """What is trained on."""
        return load_data(self.folder)

    @cached_property
    def held_out(self) -> Data:
        """What is never trained on."""
        return load_data(self.folder, held_out=True)

    @cached_property
    def autoencoder(self) -> AutoencoderKL:
        """The finished autoencoder, after all of its phases."""
        first, scale, settings = self.encoder, self.latent_scale, self._scaled(autoencoder.DECODER)

        def train(made_from: str) -> nn.Module:
            network, folder = copy.deepcopy(first), self.folder / 'decoder'
            return autoencoder.train_decoder(
                network, scale, self.data, self._judged, folder, settings, made_from, self.stop
            )

        return self._network('decoder', lambda: AutoencoderKL(**AUTOENCODER), train, first, scale, _identity(settings))

    @cached_property
    def encoder(self) -> AutoencoderKL:
        """The autoencoder before its last phase; its latents are final."""
        network = autoencoder.new_autoencoder()
        before: tuple[object, ...] = ()
        for index, (phase, batch) in enumerate(zip(autoencoder.PHASES, autoencoder.BATCHES, strict=True), start=1):
            settings, name, start = self._scaled(phase), f'autoencoder-{index}', network

            def train(
                made_from: str,
                start: AutoencoderKL = start,
                name: str = name,
                settings: LoopSettings = settings,
                batch: tuple[int, int] = batch,
            ) -> nn.Module:
                return autoencoder.train_autoencoder(
                    copy.deepcopy(start),
                    self.data,
                    self._judged,
                    self.folder / name,
                    settings,
                    *batch,
                    made_from,
                    self.stop,
                )

            network = self._network(
                name, lambda: AutoencoderKL(**AUTOENCODER), train, *before, batch, _identity(settings)
            )
            before = (network,)
        return network

    @cached_property
    def latent_scale(self) -> float:
        """The factor that gives latents unit variance."""
        pictures = [
            still(self.data, index, KINDS[index % len(KINDS)]) for index in range(self._share(MEASURED, len(KINDS)))
        ]
        return round(latent_scale(self.encoder, torch.stack(pictures)), 5)

    @cached_property
    def towers(self) -> ClipEncoders:
        """Both towers, which see pictures and texts."""
        settings, pool = self._scaled(towers.SETTINGS), self._share(towers.POOL, towers.BATCH)

        def train(made_from: str) -> nn.Module:
            folder = self.folder / 'towers'
            return towers.train_towers(self.data, self.held_out, folder, settings, pool, made_from, self.stop)

        inputs = world_fingerprint(), _identity(settings), pool, towers.towers_identity()
        return self._network('towers', lambda: ClipEncoders(CLIP), train, *inputs)

    @cached_property
    def unet(self) -> I2VGenXLUNet:
        """The UNet after all of its phases."""
        encoders = Encoders(self.encoder, self.towers)
        loss = unet.objective(encoders.unconditional(), self.latent_scale)
        network: I2VGenXLUNet = unet.new_unet()
        shared = (world_fingerprint(), encoders.autoencoder, encoders.towers, *unet.unet_identity(loss))
        before: tuple[object, ...] = ()
        for index, (settings, seeds, num_frames) in enumerate(self._phases()):
            name, start = f'unet-{index}', network

            def train(
                made_from: str,
                start: I2VGenXLUNet = start,
                name: str = name,
                settings: LoopSettings = settings,
                seeds: range = seeds,
                num_frames: int = num_frames,
            ) -> nn.Module:
                pool = encoded_clips(self.folder / f'{name}-clips', self.data, encoders, seeds, num_frames, self.stop)
                return unet.train_unet(
                    copy.deepcopy(start), loss, pool, self.folder / name, settings, made_from, self.stop
                )

            inputs = *shared, *before, _identity(settings), seeds, num_frames
            network = self._network(name, lambda: I2VGenXLUNet(**UNET), train, *inputs)
            before = (network,)
        return network

    def _phases(self) -> Iterator[tuple[LoopSettings, range, int]]:
        """The UNet's phases: settings, seeds of clips and frames in a clip."""
        pictures = self._share(unet.PICTURES_IN_POOL, unet.PICTURES_AT_A_TIME)
        yield self._scaled(unet.PICTURES), range(pictures), 1
        clips = self._share(unet.CLIPS_IN_POOL, unet.CLIPS_AT_A_TIME)
        for index, settings in enumerate(unet.CLIPS, start=1):
            yield self._scaled(settings), range(index * SEEDS_A_PHASE, index * SEEDS_A_PHASE + clips), NUM_FRAMES

    @cached_property
    def _judged(self) -> dict[str, torch.Tensor]:
        return autoencoder.judged_pictures(self.held_out, self._share(autoencoder.JUDGED, 2))

    @cached_property
    def _precision(self) -> str:
        return fastest_precision()

    def _network(
        self, name: str, build: Callable[[], Module], train: Callable[[str], nn.Module], *inputs: object
    ) -> Module:
        """The network ``name``; ``train`` takes a digest of the data, of ``inputs`` and of what all networks share."""
        made_from = fingerprint(data_fingerprint(), autoencoder.autoencoder_identity(), *inputs)

        def trained() -> nn.Module:
            with self.stop.deferred():
                return train(made_from)

        return finished_network(name, made_from, build, trained, self.folder, self.finished, keep=self.keep)

    def _scaled(self, settings: LoopSettings) -> LoopSettings:
        return dataclasses.replace(settings, steps=self._share(settings.steps, 2), precision=self._precision)

    def _share(self, count: int, least: int) -> int:
        return max(least, round(self.scale * count))


def _identity(settings: LoopSettings) -> dict[str, Any]:
    """What a network depends on; the precision follows from the machine."""
    identity = {**settings.identity, 'steps': settings.steps}
    return {name: value for name, value in identity.items() if name != 'precision'}

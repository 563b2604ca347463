"""The phases of the recipe, one after the other. What is finished is not done again."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from demo_training.autoencoder import latent_scale
from demo_training.emoji_and_photographs import autoencoder, first_frame, single_frames, towers, unet
from demo_training.emoji_and_photographs.architecture import AUTOENCODER, CLIP, UNET
from demo_training.emoji_and_photographs.data import Data, data_fingerprint, load_data
from demo_training.emoji_and_photographs.finished import FINISHED, Phase, Shelf
from demo_training.emoji_and_photographs.latents import Encoders, Pool, encoded_clips
from demo_training.emoji_and_photographs.moves import FPS, NUM_FRAMES
from demo_training.emoji_and_photographs.precision import fastest_precision
from demo_training.emoji_and_photographs.rendering import SIDE
from demo_training.emoji_and_photographs.sharpening.recipe import Sharpening
from demo_training.emoji_and_photographs.stills import KINDS, still
from demo_training.emoji_and_photographs.stopping import Stop
from demo_training.emoji_and_photographs.unet import scale_factor
from demo_training.emoji_and_photographs.world import world_fingerprint
from modelscope_i2v.checks import number
from modelscope_i2v.errors import InputError
from modelscope_i2v.files import output_errors, replacing
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.networks import AutoencoderKL, I2VGenXLUNet
from modelscope_i2v.networks.clip import ClipEncoders
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.weights.save import save_model

Module = TypeVar('Module', bound=nn.Module)
#: Trains the UNet: ``(unet, pool, folder, settings, made_from, stop)``.
Train = Callable[[I2VGenXLUNet, Pool, Path, LoopSettings, str, Stop], I2VGenXLUNet]


@dataclass(frozen=True)
class Part:
    """A part of the UNet's training.

    Attributes:
        settings: for a whole training.
        seeds: of the clips that it learns from.
        train: trains the network.
        identity: what the result depends on beside these.
        num_frames: in a clip.
        kept: frames of each clip that are learnt from; None for all.
    """

    settings: LoopSettings
    seeds: range
    train: Train
    identity: tuple[Any, ...] = ()
    num_frames: int = NUM_FRAMES
    kept: int | None = None


#: Pictures by which the scale of latents is measured.
MEASURED = 256
#: The distance between the first seeds of two pools of clips.
SEEDS_A_POOL = 1_000_000
#: Defaults of a call.
CALL: dict[str, Any] = {
    'target_fps': FPS,
    'max_frames': NUM_FRAMES,
    'height': SIDE,
    'width': SIDE,
    # The UNet is trained where the noise is highest, so it draws a video in one step.
    'guidance_scale': 1.0,
    'steps': 1,
    'most_steps': 1,
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
        keep: write to ``finished`` what is trained here. Not for a trial, with another ``scale`` than 1.
        stop: whether to stop after the current step.
    """

    folder: Path
    scale: float = 1.0
    finished: Path = FINISHED
    keep: bool = False
    stop: Stop = field(default_factory=Stop)

    def __post_init__(self) -> None:
        number('scale', self.scale, 0, 1, open_low=True)
        if self.keep and self.scale != 1:
            raise InputError(
                f"'keep' is for whole trainings, found scale={self.scale}: a trial would take the place of finished "
                'networks. Leave one of the two out.'
            )

    def run(self) -> None:
        """Do what is not done yet.

        Raises:
            ConfigurationError: if ``folder`` holds something made with other settings or from other networks.
            KeyboardInterrupt: if it was stopped; it goes on from there when it is run again.
        """
        # What takes longest comes first. The decoder's last phase can wait.
        networks = {'ckpt_unet': self.unet, 'ckpt_clip': self.towers, 'ckpt_autoencoder': self.autoencoder}
        autoencoder_cfg = {**AUTOENCODER, 'scale_factor': scale_factor(self.latent_scale)}
        model_cfg = {**CALL, 'autoencoder': autoencoder_cfg, 'clip': CLIP, 'unet': UNET}
        save_model(self.folder / 'model', I2VGEN_XL, networks, model_cfg)
        self.sharpening.run(self.folder / 'model-2')

    @cached_property
    def sharpening(self) -> Sharpening:
        """The training of stage 2, which enlarges what stage 1 makes."""
        return Sharpening(self._shelf, self.autoencoder, self.towers.text, self.scale, self.stop)

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

        def train(network: AutoencoderKL, folder: Path, made_from: str) -> AutoencoderKL:
            return autoencoder.train_decoder(
                network, scale, self.data, self._judged, folder, settings, made_from, self.stop
            )

        phase = self._phase('decoder', train, first, scale, _identity(settings))
        return self._shelf.network_after([phase], lambda: copy.deepcopy(first), _autoencoder)

    @cached_property
    def encoder(self) -> AutoencoderKL:
        """The autoencoder before its last phase; its latents are final."""
        settings, pool = self._scaled(autoencoder.LINEAR), self._share(autoencoder.POOL, autoencoder.LINEAR_BATCH)

        def train(_: AutoencoderKL, folder: Path, made_from: str) -> AutoencoderKL:
            return autoencoder.train_linear(self.data, folder, settings, pool, made_from, self.stop)

        phase = self._phase('autoencoder', train, pool, _identity(settings))
        return self._shelf.network_after([phase], _autoencoder, _autoencoder)

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

        def train(_: ClipEncoders, folder: Path, made_from: str) -> ClipEncoders:
            return towers.train_towers(self.data, self.held_out, folder, settings, pool, made_from, self.stop)

        inputs = world_fingerprint(), _identity(settings), pool, towers.towers_identity()
        return self._shelf.network_after([self._phase('towers', train, *inputs)], _towers, _towers)

    @cached_property
    def unet(self) -> I2VGenXLUNet:
        """The UNet after all of its phases."""
        return self._shelf.network_after(list(self._unet_phases()), new=unet.new_unet, build=_unet)

    def _unet_phases(self) -> Iterator[Phase[I2VGenXLUNet]]:
        encoders = Encoders(self.encoder, self.towers)
        loss = unet.objective(encoders.unconditional(), self.latent_scale)
        before = fingerprint(world_fingerprint(), encoders.autoencoder, encoders.towers, *unet.unet_identity(loss))
        pictures = range(self._share(unet.PICTURES_IN_POOL, unet.PICTURES_AT_A_TIME))
        clips = self._share(unet.CLIPS_IN_POOL, unet.CLIPS_AT_A_TIME)
        pool = range(SEEDS_A_POOL, SEEDS_A_POOL + clips)

        # Pictures, then the first frame beside all others, then single frames of clips.
        parts = [
            Part(unet.PICTURES, pictures, partial(unet.train_unet, loss), num_frames=1),
            Part(
                first_frame.SETTINGS,
                pool,
                partial(first_frame.train_first_frame, loss.scale_factor),
                first_frame.first_frame_identity(),
            ),
        ]
        frames = self._share(single_frames.CLIPS_IN_POOL, single_frames.CLIPS_AT_A_TIME)
        for phase in single_frames.PHASES:
            first = (11 + (phase.settings.seed - 1) % single_frames.POOLS) * SEEDS_A_POOL
            train = partial(single_frames.train_single_frames, phase, loss)
            seeds = range(first, first + frames)
            parts.append(Part(phase.settings, seeds, train, phase.identity, kept=single_frames.FRAMES_OF_CLIP))
        for index, part in enumerate(parts):
            settings = self._scaled(part.settings)
            trained = partial(self._train_unet, encoders, part, settings)
            inputs = (_identity(settings), part.seeds, part.num_frames, *part.identity)
            done = self._phase(f'unet-{index}', trained, before, *inputs)
            before = done.made_from
            yield done

    def _train_unet(
        self,
        encoders: Encoders,
        part: Part,
        settings: LoopSettings,
        network: I2VGenXLUNet,
        folder: Path,
        made_from: str,
    ) -> I2VGenXLUNet:
        pool = encoded_clips(
            self.folder / f'clips-{part.seeds.start // SEEDS_A_POOL}',
            self.data,
            encoders,
            part.seeds,
            part.num_frames,
            self.stop,
            part.kept,
        )
        return part.train(network, pool, folder, settings, made_from, self.stop)

    @cached_property
    def _judged(self) -> dict[str, torch.Tensor]:
        return autoencoder.judged_pictures(self.held_out, self._share(autoencoder.JUDGED, 2))

    @cached_property
    def _precision(self) -> str:
        """What is fastest here. It is measured once a folder, since a training must go on in the same one."""
        path = self.folder / 'precision'
        if not path.exists():
            with output_errors(path):
                self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as draft:
                draft.write_text(fastest_precision(), encoding='utf-8')
        return path.read_text(encoding='utf-8')

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self.folder, self.finished, self.keep)

    def _phase(self, name: str, train: Callable[[Module, Path, str], Module], *inputs: object) -> Phase[Module]:
        """A phase of ``train(network, folder, made_from)``, made from the data, ``inputs`` and what all share."""
        made_from = fingerprint(data_fingerprint(), autoencoder.autoencoder_identity(), *inputs)

        def trained(network: Module) -> Module:
            with self.stop.deferred():
                return train(network, self.folder / name, made_from)

        return Phase(name, made_from, trained)

    def _scaled(self, settings: LoopSettings) -> LoopSettings:
        return dataclasses.replace(settings, steps=self._share(settings.steps, 2), precision=self._precision)

    def _share(self, count: int, least: int) -> int:
        return max(least, round(self.scale * count))


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(**AUTOENCODER)


def _towers() -> ClipEncoders:
    return ClipEncoders(CLIP)


def _unet() -> I2VGenXLUNet:
    return I2VGenXLUNet(**UNET)


def _identity(settings: LoopSettings) -> dict[str, Any]:
    """What a network depends on; the precision follows from the machine."""
    identity = {**settings.identity, 'steps': settings.steps}
    return {name: value for name, value in identity.items() if name != 'precision'}

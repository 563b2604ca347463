"""The phases of stage 2, one after the other. What is finished is not done again."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from demo_training.autoencoder import latent_scale
from demo_training.emoji_and_photographs import linear_layers, moves, scenes
from demo_training.emoji_and_photographs.architecture import CLIP
from demo_training.emoji_and_photographs.data import Data
from demo_training.emoji_and_photographs.finished import Phase, Shelf
from demo_training.emoji_and_photographs.sharpening import autoencoder, drawing, linear, unet
from demo_training.emoji_and_photographs.sharpening.architecture import AUTOENCODER, UNET
from demo_training.emoji_and_photographs.sharpening.large_data import large_data_fingerprint, load_large_data
from demo_training.emoji_and_photographs.stopping import Stop
from demo_training.made_from import code_fingerprint
from modelscope_i2v.generation.prompt_tokens import build_tokenizer
from modelscope_i2v.networks import AutoencoderKL, ClipTextEncoder, VideoToVideoUNet
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from modelscope_i2v.weights.save import save_model

Module = TypeVar('Module', bound=nn.Module)

#: Defaults of a call.
CALL: dict[str, Any] = {
    'target_fps': moves.FPS,
    'max_frames': moves.NUM_FRAMES,
    'height': drawing.SIDE,
    'width': drawing.SIDE,
    'solver': 'dpmpp_2m',
    'steps': 1,
    'noise_level': unet.NOISE_LEVEL,
    'guidance_scale': 1.0,
    'guidance_rescale': 0.0,
    'positive_prompt': '',
    'negative_prompt': '',
}


@dataclass(frozen=True)
class Sharpening:
    """The training of stage 2.

    Attributes:
        shelf: where finished networks are.
        stage_1: the finished autoencoder of stage 1, whose videos stage 2 enlarges.
        text: the finished text tower.
        scale: the share of all steps and windows to do.
        stop: whether to stop after the current step.
    """

    shelf: Shelf
    stage_1: AutoencoderKL
    text: ClipTextEncoder
    scale: float
    stop: Stop

    def run(self, folder: Path) -> None:
        """Do what is not done yet, and write the model to ``folder``."""
        # What takes longest comes first.
        networks = {'ckpt_unet': self.unet, 'ckpt_clip': self.text, 'ckpt_autoencoder': self.autoencoder}
        sizes = {'autoencoder': {**AUTOENCODER, 'scale_factor': self.scale_factor}, 'clip': CLIP, 'unet': UNET}
        save_model(folder, VIDEO_TO_VIDEO, networks, {**CALL, **sizes})

    @cached_property
    def data(self) -> Data:
        """What is trained on."""
        return load_large_data(self.shelf.folder)

    @cached_property
    def encoder(self) -> AutoencoderKL:
        """The linear autoencoder; its latents are final."""
        return self.shelf.network_after([self._linear], _autoencoder, _autoencoder)

    @cached_property
    def autoencoder(self) -> AutoencoderKL:
        """The finished autoencoder."""
        settings, encoder = self._scaled(autoencoder.DECODER), self.encoder

        def train(network: AutoencoderKL, folder: Path, made_from: str) -> AutoencoderKL:
            judged = autoencoder.judged_pictures(load_large_data(self.shelf.folder, held_out=True))
            return autoencoder.train_decoder(network, self.windows, judged, folder, settings, made_from, self.stop)

        phase = self._phase('sharpening-decoder', train, encoder, self._windows, _identity(settings))
        return self.shelf.network_after([phase], lambda: copy.deepcopy(encoder), _autoencoder)

    @cached_property
    def windows(self) -> torch.Tensor:
        """What the autoencoder learns from."""
        return autoencoder.draw_windows(self.data, self._windows)

    @property
    def _windows(self) -> int:
        return self._share(autoencoder.POOL, autoencoder.LINEAR_BATCH)

    @cached_property
    def scale_factor(self) -> float:
        """The factor that gives latents unit variance."""
        return round(latent_scale(self.encoder, self.windows[:256]), 5)

    @cached_property
    def unet(self) -> VideoToVideoUNet:
        """The finished UNet."""
        settings, count = self._scaled(unet.SETTINGS), self._share(unet.POOL, unet.BATCH)
        with torch.no_grad():
            empty = self.text(build_tokenizer(CLIP['text_cfg']['context_length'])(['']))[0]
        loss = unet.Regression(empty, self.scale_factor)
        encoders = fingerprint(self.encoder.encoder, self.encoder.quant_conv, self.stage_1, self.text)

        def train(network: VideoToVideoUNet, folder: Path, made_from: str) -> VideoToVideoUNet:
            windows = unet.encoded_windows(
                folder.with_name(f'{folder.name}-windows.safetensors'),
                self.data,
                self.encoder,
                self.stage_1,
                self.text,
                count,
                made_from,
                self.stop,
            )
            return unet.train_unet(network, loss, windows, folder, settings, made_from, self.stop)

        inputs = encoders, self.scale_factor, *unet.unet_identity(), count, _identity(settings)
        return self.shelf.network_after([self._phase('sharpening-unet', train, *inputs)], unet.new_unet, _unet)

    @property
    def _linear(self) -> Phase[AutoencoderKL]:
        settings = self._scaled(autoencoder.LINEAR)

        def train(_: AutoencoderKL, folder: Path, made_from: str) -> AutoencoderKL:
            return autoencoder.train_linear(self.windows, folder, settings, made_from, self.stop)

        return self._phase('sharpening-linear', train, self._windows, _identity(settings))

    def _phase(self, name: str, train: Callable[[Module, Path, str], Module], *inputs: object) -> Phase[Module]:
        """A phase of ``train(network, folder, made_from)``, made from the data, ``inputs`` and what all share."""
        code = code_fingerprint(
            *(Path(module.__file__ or '') for module in (drawing, linear, linear_layers, moves, scenes))
        )
        shared = large_data_fingerprint(), code, autoencoder.autoencoder_identity(), self.scale
        made_from = fingerprint(*shared, *inputs)

        def trained(network: Module) -> Module:
            with self.stop.deferred():
                return train(network, self.shelf.folder / name, made_from)

        return Phase(name, made_from, trained)

    def _scaled(self, settings: LoopSettings) -> LoopSettings:
        return dataclasses.replace(settings, steps=self._share(settings.steps, 2))

    def _share(self, count: int, least: int) -> int:
        return max(least, round(self.scale * count))


def _unet() -> VideoToVideoUNet:
    return VideoToVideoUNet(**UNET)


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(**AUTOENCODER)


def _identity(settings: LoopSettings) -> dict[str, Any]:
    """What a network depends on; the precision follows from the machine."""
    identity = {**settings.identity, 'steps': settings.steps}
    return {name: value for name, value in identity.items() if name != 'precision'}

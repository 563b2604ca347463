"""Train both small models of the first generation, one network after the other. Finished networks are kept."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from demo_training import autoencoder, clip, image_to_video, photographs, video_to_video
from demo_training.architecture import (
    AUTOENCODER,
    CLIP,
    IMAGE_TO_VIDEO_UNET,
    VIDEO_TO_VIDEO_UNET,
)
from demo_training.autoencoder import latent_scale, train_autoencoder, train_decoder_2
from demo_training.clip import Trainee, train_pair
from demo_training.latents import encode_pool
from demo_training.made_from import MADE_FROM, check_made_from
from demo_training.world import make_clip, world_fingerprint
from modelscope_i2v.checks import number
from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.files import output_errors, probe_target
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.model_folder import FILE_NAME
from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder, ImageToVideoUNet, VideoToVideoUNet
from modelscope_i2v.stage import Stage
from modelscope_i2v.training.data.clips import to_pixels
from modelscope_i2v.training.fingerprint import fingerprint
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.save import save_model, save_weights

logger = logging.getLogger(__name__)

Module = TypeVar('Module', bound=nn.Module)

#: First training seeds of the pools. The autoencoder draws from all training seeds, the pair from the first ones.
FIRST_SEED_1, FIRST_SEED_2, FIRST_SEED_PICTURES = 200_000, 400_000, 700_000

#: The model folders, by task.
FOLDERS = {'image-to-video': 'Image-to-Video', 'video-to-video': 'Video-to-Video'}


@dataclass(frozen=True)
class Recipe:
    """The whole training.

    Attributes:
        folder: the folder for checkpoints, logs and pools.
        output: where ``Image-to-Video/`` and ``Video-to-Video/`` are written.
        scale: the share of all steps and clips to do; a small one tries everything in a minute.
    """

    folder: Path
    output: Path
    scale: float = 1.0

    def __post_init__(self) -> None:
        number('scale', self.scale, 0, 1, open_low=True)

    def run(self) -> None:
        """Train what is not trained yet and write both folders.

        Raises:
            ConfigurationError: if ``folder`` holds a training of another scale, or files made with other settings or
                from other networks.
        """
        self._claim()
        network, scale_factor = self.autoencoder()
        pair = self.pair()
        self.stage_1(network, pair, scale_factor)
        self.stage_2(network, pair, scale_factor)

    def autoencoder(self) -> tuple[AutoencoderKL, float]:
        """The autoencoder, and the factor that gives its latents unit variance."""
        settings = (
            self._scaled(autoencoder.SETTINGS),
            self._scaled(autoencoder.DECODER),
            self._share(autoencoder.POOL, autoencoder.BATCH),
        )
        network = self._kept(
            'autoencoder',
            lambda: AutoencoderKL(**AUTOENCODER),
            lambda made_from: train_autoencoder(self.folder / 'autoencoder', *settings, made_from),
            *settings,
            autoencoder.LATENT_NOISE,
            autoencoder.KL_WEIGHT,
            autoencoder.INITIAL_LOGVAR,
        )
        frames = np.concatenate([make_clip(seed, num_frames=1).frames for seed in range(256)])
        return network, round(latent_scale(network, to_pixels(frames)), 5)

    def pair(self) -> Trainee:
        """Both CLIP towers, the image tower adapted to photographs, and the projection that stage 1 starts with."""
        settings = self._scaled(clip.SETTINGS), self._share(clip.POOL, clip.BATCH)
        pair = self._kept(
            'pair',
            Trainee,
            lambda made_from: train_pair(self.folder / 'pair', *settings, made_from),
            *settings,
        )
        settings = self._scaled(photographs.SETTINGS), self._share(photographs.POOL, photographs.COUNT)
        pair.image = self._kept(
            'tower',
            lambda: ClipImageEncoder(CLIP),
            lambda made_from: photographs.adapt_tower(
                copy.deepcopy(pair.image), self.folder / 'tower', *settings, made_from
            ),
            pair,
            *settings,
            photographs.BLUR,
            photographs.WORLD_WEIGHT,
        )
        return pair

    def stage_1(self, network: AutoencoderKL, pair: Trainee, scale_factor: float) -> None:
        """Train stage 1 and write its folder."""
        scale_factor = round(scale_factor * image_to_video.INPUT_SCALE, 5)
        settings = self._scaled(image_to_video.PICTURES), self._scaled(image_to_video.VIDEOS)
        sources = {
            'pictures': (self._seeds(FIRST_SEED_PICTURES, image_to_video.PICTURES_IN_POOL, 64), 1),
            'clips': (self._seeds(FIRST_SEED_1, image_to_video.CLIPS, 64), image_to_video.CLIP_FRAMES),
        }

        def train(made_from: str) -> ImageToVideoUNet:
            pools = [
                encode_pool(self.folder / f'pool-1-{name}', network, pair.image, *source)
                for name, source in sources.items()
            ]
            unet = image_to_video.new_unet(pair)
            folder = self.folder / 'stage-1'
            image_to_video.train(unet, (pools[0], pools[1]), scale_factor, folder, *settings, made_from)
            return unet

        batches = (image_to_video.VIDEOS_AT_A_TIME, image_to_video.NUM_FRAMES, image_to_video.IMAGES)
        inputs = (network, pair, image_to_video.objective(scale_factor).identity, *settings, *batches, sources)
        unet = self._kept('stage-1', lambda: ImageToVideoUNet(**IMAGE_TO_VIDEO_UNET), train, *inputs)
        networks = {'ckpt_unet': unet, 'ckpt_clip': pair.image, 'ckpt_autoencoder': network}
        self._write(IMAGE_TO_VIDEO, networks, {**image_to_video.CALL, 'unet': IMAGE_TO_VIDEO_UNET}, scale_factor)

    def stage_2(self, network: AutoencoderKL, pair: Trainee, scale_factor: float) -> None:
        """Train stage 2 and write its folder."""

        settings = self._scaled(video_to_video.PICTURES), self._scaled(video_to_video.VIDEOS)
        loss = video_to_video.objective(pair.text, scale_factor)
        seeds = self._seeds(FIRST_SEED_2, video_to_video.CLIPS, 32)

        def train(made_from: str) -> VideoToVideoUNet:
            pool = video_to_video.encode_pool(self.folder / 'pool-2', network, pair.text, seeds)
            unet = video_to_video.new_unet()
            video_to_video.train(unet, pool, loss, self.folder / 'stage-2', *settings, made_from)
            return unet

        batches = (video_to_video.PICTURES_AT_A_TIME, video_to_video.VIDEOS_AT_A_TIME)
        inputs = (network, pair, loss.identity, *settings, *batches, seeds, video_to_video.FRAMES)
        unet = self._kept('stage-2', lambda: VideoToVideoUNet(**VIDEO_TO_VIDEO_UNET), train, *inputs)
        sharper = self._decoder_2(network)
        networks = {'ckpt_unet': unet, 'ckpt_clip': pair.text, 'ckpt_autoencoder': sharper}
        self._write(VIDEO_TO_VIDEO, networks, {**video_to_video.CALL, 'unet': VIDEO_TO_VIDEO_UNET}, scale_factor)

    def _decoder_2(self, network: AutoencoderKL) -> AutoencoderKL:
        """``network`` with a decoder for stage 2."""
        settings = self._scaled(autoencoder.DECODER_2), self._share(autoencoder.POOL, autoencoder.BATCH)
        return self._kept(
            'autoencoder-2',
            lambda: AutoencoderKL(**AUTOENCODER),
            lambda made_from: train_decoder_2(
                copy.deepcopy(network), self.folder / 'autoencoder-2', *settings, made_from
            ),
            network,
            *settings,
            autoencoder.LATENT_NOISE_2,
            autoencoder.AREA,
            autoencoder.KINDS_2,
        )

    def _write(
        self, stage: Stage, networks: Mapping[str, nn.Module], model_cfg: Mapping[str, Any], scale_factor: float
    ) -> None:
        """Write the folder of ``stage``."""
        autoencoder = {**AUTOENCODER, 'scale_factor': scale_factor}
        save_model(
            self.output / FOLDERS[stage.task], stage, networks, {**model_cfg, 'autoencoder': autoencoder, 'clip': CLIP}
        )

    def _claim(self) -> None:
        """Check that ``folder`` is for this scale and that ``output`` is writable, before hours of training."""
        probe_target(self.output / FILE_NAME)
        note = self.folder / 'scale.txt'
        with output_errors(note):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not note.exists():
                note.write_text(f'{self.scale}\n', encoding='utf-8')
            found = note.read_text(encoding='utf-8').strip()
        if found != str(self.scale):
            raise ConfigurationError(
                f"'{self.folder}' holds a training with --scale {found}, not {self.scale}. Choose another --folder."
            )

    def _scaled(self, settings: LoopSettings) -> LoopSettings:
        return dataclasses.replace(settings, steps=self._share(settings.steps, 2))

    def _share(self, count: int, least: int) -> int:
        return max(least, round(self.scale * count))

    def _seeds(self, first: int, count: int, least: int) -> range:
        return range(first, first + self._share(count, least))

    def _kept(self, name: str, build: Callable[[], Module], train: Callable[[str], Module], *inputs: object) -> Module:
        """Load the network saved as ``name``; train and save it first if there is none.

        Args:
            train: takes a digest of the world and of ``inputs``.
            inputs: everything else that the result depends on.
        """
        path = self.folder / f'{name}.safetensors'
        made_from = fingerprint(world_fingerprint(), *inputs)
        if path.exists():
            check_made_from(path, made_from)
        else:
            logger.info('training %s', name)
            save_weights(train(made_from), path, metadata={MADE_FROM: made_from})
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        return load_weights(build_on_meta(build), path).eval().requires_grad_(False).to(device)

"""Stage 1 of the embedded models: from the embedding of a picture to a video that starts with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from demo_training.architecture import IMAGE_TO_VIDEO_UNET
from demo_training.clip import Trainee
from demo_training.latents import PoolBatches
from demo_training.phases import train_in_phases
from demo_training.pools import Pool
from modelscope_i2v.diffusion import scaled_linear_schedule
from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.training.loop.seeding import seeded
from modelscope_i2v.training.loop.settings import LoopSettings
from modelscope_i2v.training.objective import Objective

#: Different pictures teach shapes, so there are many; clips teach motion.
PICTURES_IN_POOL = 60_000
CLIPS, CLIP_FRAMES = 8000, 20
NUM_FRAMES = 16
#: In a batch.
VIDEOS_AT_A_TIME, IMAGES = 5, 64
PICTURES = LoopSettings(
    steps=8000,
    learning_rate=1e-3,
    schedule='cosine',
    warmup_steps=200,
    ema_decay=0.999,
    precision='bf16',
    log_every=50,
)
VIDEOS = dataclasses.replace(PICTURES, steps=6500, learning_rate=6e-4)

#: Times the scale that gives latents unit variance. The noisiest step of the schedule keeps a fifteenth of the signal,
#: and a video repeats itself so much that this tells where things will go; a network that learnt to read it reads paths
#: that jump from pure noise. Smaller latents drown (Chen 2023, "On the Importance of Noise Scheduling", 2301.10972).
INPUT_SCALE = 4 / 9

#: What the model does where a call does not say. "Leading" timesteps end a step early, as the reference's do, and leave
#: noise of 0.03 in the latents: a tenth of such small ones, which flickers. So does guidance of the last steps.
CALL = {
    'target_fps': 8,
    'max_frames': NUM_FRAMES,
    'latent_hei': 16,
    'latent_wid': 16,
    'steps': 20,
    'timestep_spacing': 'trailing',
    'guidance_min_timestep': 200,
}


def new_unet(pair: Trainee, seed: int = 0) -> ImageToVideoUNet:
    """An untrained UNet that starts with the projection to context tokens that the image tower was trained with."""
    unet = seeded(lambda: ImageToVideoUNet(**IMAGE_TO_VIDEO_UNET), seed + 2)
    unet.image_projection.load_state_dict(pair.projection.state_dict())
    return unet


def objective(scale_factor: float) -> Objective:
    return Objective(
        schedule=scaled_linear_schedule(),
        unconditional=torch.zeros(1, IMAGE_TO_VIDEO_UNET['image_embed_dim']),
        scale_factor=scale_factor,
        takes_fps=True,
        timestep_power=1.2,
        motion_weight=5.0,
        pooling=(2, 4),
    )


def train(
    unet: ImageToVideoUNet,
    pools: tuple[Pool, Pool],
    scale_factor: float,
    folder: Path,
    pictures: LoopSettings = PICTURES,
    videos: LoopSettings = VIDEOS,
    made_from: str = '',
) -> None:
    """Train a new ``unet`` on the first pool, of pictures, then on the second, of clips.

    Of the latter's batches, one in eight is of single frames.
    """
    batches = [
        PoolBatches(pool, videos=count, num_frames=NUM_FRAMES, images=IMAGES)
        for pool, count in zip(pools, (0, VIDEOS_AT_A_TIME), strict=True)
    ]
    phases = (batches[0], pictures), (batches[1], videos)
    train_in_phases(unet, objective(scale_factor), *phases, folder, made_from)

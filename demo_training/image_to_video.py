"""Stage 1 of the small models: from the embedding of a picture to a video that starts with it."""

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
#: Per batch.
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

#: A factor on the scale that gives latents unit variance. The noisiest step of the schedule keeps a fifteenth of the
#: signal, and videos repeat themselves so much that this reveals where things will move. A network that learns to read
#: it then sees jumping paths in pure noise. In smaller latents the noise hides it (Chen 2023, "On the Importance of
#: Noise Scheduling", 2301.10972).
INPUT_SCALE = 4 / 9

#: Defaults of a call. "Leading" timesteps, as in the original implementation, end a step early and leave noise of 0.03
#: in the latents. That is a tenth of such small latents and flickers. Guidance in the last steps causes flicker too.
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
    """An untrained UNet with the projection to context tokens that was trained together with the image tower."""
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

    One in eight batches of the second pool consists of single frames.
    """
    batches = [
        PoolBatches(pool, videos=count, num_frames=NUM_FRAMES, images=IMAGES)
        for pool, count in zip(pools, (0, VIDEOS_AT_A_TIME), strict=True)
    ]
    phases = (batches[0], pictures), (batches[1], videos)
    train_in_phases(unet, objective(scale_factor), *phases, folder, made_from)

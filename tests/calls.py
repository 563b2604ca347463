"""Calls of a pipeline, and records of what happens inside them."""

from contextlib import contextmanager

import numpy as np

from tests.folders import IMAGE
from tests.media.clips import gradient

VIDEO = 'output_video'
#: A small bright video, uint8 RGB.
CLIP = np.stack(gradient(3))


def build(folder, task='image-to-video', **options):
    from modelscope.pipelines import pipeline

    import modelscope_i2v  # noqa: F401

    return pipeline(task, model=str(folder), device='cpu', show_progress=False, **options)


def build_2(folder, **options):
    return build(folder, 'video-to-video', **options)


def latents_of(pipeline, source=None, **arguments):
    """Latents of ``source``, by default of a picture for stage 1 and of a short video for stage 2."""
    if source is None:
        source = str(IMAGE) if pipeline.stage.task == 'image-to-video' else CLIP
    return pipeline(source, output_type='latent', **arguments)[VIDEO]


def timesteps_of(pipeline, **arguments):
    """The timesteps that a call visits, one per step."""
    visited = []
    arguments.setdefault('num_frames', 1)
    latents_of(pipeline, callback_on_step_end=lambda _, step, t, latents: visited.append((step, t)), **arguments)
    assert [step for step, _ in visited] == list(range(len(visited)))
    return [t for _, t in visited]


@contextmanager
def unet_calls(pipeline):
    """The positional arguments of every pass through the UNet."""
    calls = []
    handle = pipeline.model.unet.register_forward_pre_hook(lambda _, inputs: calls.append(inputs))
    try:
        yield calls
    finally:
        handle.remove()

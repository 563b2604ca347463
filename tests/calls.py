"""Calls of a stage-1 pipeline, and what happens inside them."""

from contextlib import contextmanager

from tests.folders import IMAGE

VIDEO = 'output_video'


def build(folder, **options):
    from modelscope.pipelines import pipeline

    import modelscope_i2v  # noqa: F401

    return pipeline('image-to-video', model=str(folder), device='cpu', show_progress=False, **options)


def latents_of(pipeline, **arguments):
    return pipeline(str(IMAGE), output_type='latent', **arguments)[VIDEO]


def timesteps_of(pipeline, **arguments):
    """The timesteps that a call visits, one a step."""
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

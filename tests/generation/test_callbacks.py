"""Callbacks during a generation, and several users of one pipeline or model."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from modelscope_i2v.errors import ConfigurationError, InputError, Interrupted
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from tests.calls import VIDEO, latents_of
from tests.folders import IMAGE

# Callbacks


def test_arguments_of_a_callback(stage_1):
    seen = []

    def callback(pipeline, step, timestep, state):
        seen.append((pipeline, step, timestep, state))

    final = latents_of(stage_1, seed=1, steps=4, callback_on_step_end=callback)
    pipelines, steps, timesteps, states = zip(*seen, strict=True)
    assert all(pipeline is stage_1 for pipeline in pipelines)
    assert steps == (0, 1, 2, 3)
    assert timesteps == (999, 749, 499, 249)
    assert all(list(state) == ['latents'] for state in states)
    assert all(state['latents'].shape == (1, 4, 3, 8, 8) for state in states)
    assert torch.equal(states[-1]['latents'], final)
    # Latents in the network's scale: about unit variance from the first step on.
    assert all(0.5 < state['latents'].std() < 2 for state in states)


@pytest.mark.parametrize('solver', ['ddim', 'dpmpp_2m', 'unipc', 'euler'])
def test_returned_latents_take_the_place_of_the_samplers(stage_1, solver):
    common = {'seed': 1, 'steps': 3, 'solver': solver}
    plain = latents_of(stage_1, **common)
    same = latents_of(stage_1, callback_on_step_end=lambda *_: {}, **common)
    assert torch.equal(same, plain)
    halved = latents_of(stage_1, callback_on_step_end=lambda *a: {'latents': a[3]['latents'] / 2}, **common)
    assert not torch.allclose(halved, plain, atol=1e-2)

    def last(pipeline, step, timestep, state):
        return {'latents': torch.full_like(state['latents'], 0.25)} if step == 2 else None

    assert (latents_of(stage_1, callback_on_step_end=last, **common) - 0.25).abs().max() < 1e-6


def test_replaced_latents_are_what_the_next_step_sees(stage_1):
    """Replacing the latents after step 1 by those of another run continues that other run."""
    trace = []
    common = {'steps': 4, 'solver': 'euler'}
    other = latents_of(stage_1, seed=2, callback_on_step_end=lambda *a: trace.append(a[3]['latents'].clone()), **common)

    def switch(pipeline, step, timestep, state):
        return {'latents': trace[1].double()} if step == 1 else None

    torch.testing.assert_close(
        latents_of(stage_1, seed=1, callback_on_step_end=switch, **common), other, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    'answer',
    [
        {'latents': torch.zeros(1, 4, 2, 8, 8)},
        {'latents': 'x'},
        {'latents': torch.full((1, 4, 3, 8, 8), float('nan'))},
        {'latents': torch.full((1, 4, 3, 8, 8), 1e300, dtype=torch.float64)},  # infinite in float32
        torch.zeros(1, 4, 3, 8, 8),
        True,
    ],
    ids=['shape', 'type', 'nan', 'large', 'bare tensor', 'no dict'],
)
def test_bad_answers_of_a_callback(stage_1, answer):
    with pytest.raises(InputError, match="'callback_on_step_end' must return"):
        latents_of(stage_1, callback_on_step_end=lambda *_: answer)


def test_errors_of_a_callback_pass_through_unchanged(stage_1):
    error = KeyError('mine')

    def fail(*_):
        raise error

    with pytest.raises(KeyError) as caught:
        latents_of(stage_1, callback_on_step_end=fail)
    assert caught.value is error


# Threads, calls within calls, shared models


def test_threads_on_one_pipeline_do_not_mix(stage_1):
    def call(seed):
        return stage_1(str(IMAGE), seed=seed, eta=0.5, num_frames=1 + seed % 3)[VIDEO]

    serial = [call(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(8))) == serial


def test_a_callback_may_call_the_pipeline(stage_1):
    inner = []

    def callback(pipeline, step, timestep, state):
        inner.append(latents_of(pipeline, seed=5))

    assert torch.equal(latents_of(stage_1, seed=6, callback_on_step_end=callback), latents_of(stage_1, seed=6))
    assert torch.equal(inner[0], latents_of(stage_1, seed=5))


def test_two_pipelines_share_one_model(stage_1):
    from modelscope.pipelines import pipeline

    from modelscope_i2v import ImageToVideoPipeline

    by_name = pipeline('image-to-video', model=stage_1.model, device='cpu')
    by_class = ImageToVideoPipeline(stage_1.model, device='cpu', steps=1, num_frames=1)
    assert by_name.model is by_class.model is stage_1.model
    small = {'seed': 1, 'show_progress': False}
    found = latents_of(by_name, steps=2, num_frames=3, **small)
    assert torch.equal(found, latents_of(stage_1, **small))
    assert latents_of(by_class, **small).shape == (1, 4, 1, 8, 8)


def test_a_model_of_another_kind(stage_1):
    from modelscope_i2v import ImageToVideoPipeline

    with pytest.raises(ConfigurationError, match="needs a model of type 'image-to-video-model', found Linear"):
        ImageToVideoPipeline(torch.nn.Linear(1, 1))


def test_the_model_alone_gives_the_pipelines_latents(stage_1):
    pixel_values = stage_1.preprocessor(str(IMAGE))['pixel_values']
    arguments = ImageToVideoArguments(seed=4, steps=2, num_frames=3, height=64, width=64)
    assert torch.equal(stage_1.model(pixel_values, arguments)['latents'], latents_of(stage_1, seed=4))


def test_interrupted_call_leaves_the_pipeline_usable(stage_1, tmp_path):
    def stop(pipeline, step, timestep, state):
        raise Interrupted('enough')

    before = stage_1(str(IMAGE), seed=1)[VIDEO]
    with pytest.raises(Interrupted, match='^enough$'):
        stage_1(str(IMAGE), seed=1, output_video=tmp_path / 'video.mp4', callback_on_step_end=stop)
    assert list(tmp_path.iterdir()) == []
    assert stage_1(str(IMAGE), seed=1)[VIDEO] == before

"""NaN and infinity: which phase is named, and what half precision cannot do is done in float32."""

import copy
import dataclasses
import gc
import json
import logging
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

import modelscope_i2v
from modelscope_i2v import ImageToVideoPipeline
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.chain_arguments import split_arguments
from modelscope_i2v.generation.finite import SAMPLING, NotFiniteError, Repeats
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.networks.attention import AttentionLayer
from modelscope_i2v.stage import stage_of
from tests.calls import VIDEO, build, build_2, latents_of, unet_calls
from tests.folders import IMAGE

HALF = {'dtype': 'fp16', 'autoencoder_dtype': 'fp16'}
#: Half precision can hold this, but hardly more: its largest number is 65504.
LARGE = 6e4
ONE = {'steps': 1, 'num_frames': 1}
FAST = {'steps': 3, 'num_frames': 2, 'seed': 1, 'height': 32, 'width': 32}


@pytest.fixture
def loaded(stage_1_folder):
    """``options -> pipeline``, whose weights a test may change."""
    return lambda **options: build(stage_1_folder, **{**FAST, **options})


def scaled(layer, largest):
    """Multiply the weights of a layer so that the largest is this, and add this to its results."""
    weight = layer.weight.float()
    layer.weight.data = (weight * (largest / weight.abs().max())).to(layer.weight)
    layer.bias.data.fill_(largest)


def weights_of(pipeline):
    return {name: value.clone() for name, value in pipeline.model.state_dict().items()}


def assert_same_weights(pipeline, before):
    after = pipeline.model.state_dict()
    assert after.keys() == before.keys()
    assert all(after[name].dtype == before[name].dtype and after[name].equal(before[name]) for name in before)


@pytest.mark.parametrize(
    ('place', 'phase', 'image_strength'),
    [
        ('autoencoder.encoder.conv_in', 'encoding', 0.5),
        ('unet.conv_in', 'sampling', 0.0),
        ('autoencoder.decoder.conv_in', 'decoding', 0.0),
    ],
)
def test_what_overflows_in_half_precision_is_repeated_in_float32(
    loaded, tmp_path, caplog, place, phase, image_strength
):
    pipeline = loaded(**HALF, image_strength=image_strength)
    scaled(pipeline.model.get_submodule(place), LARGE)
    before = weights_of(pipeline)
    assert all(value.isfinite().all() for value in before.values())
    steps = []
    with caplog.at_level(logging.WARNING):
        result = pipeline(
            str(IMAGE),
            output_video=tmp_path / 'video.mp4',
            callback_on_step_end=lambda _, step, *rest: steps.append(step),
        )
    assert result['repeated_in_float32'] == [phase]
    [entry] = read_recipe(tmp_path / 'video.mp4')
    assert entry['repeated_in_float32'] == [phase]
    assert (entry['dtype'], entry['autoencoder_dtype']) == ('float16', 'float16')
    [said] = [record.getMessage() for record in caplog.records if 'float32' in record.getMessage()]
    assert 'NaN or infinite values in torch.float16 on cpu' in said
    assert steps == list(range(3 if image_strength == 0 else 2))  # the step that failed is not among them
    assert_same_weights(pipeline, before)


def test_the_repetition_is_what_float32_computes(loaded):
    pipeline = loaded(**HALF, steps=1, num_frames=1)
    scaled(pipeline.model.unet.conv_in, LARGE)
    exact = loaded(steps=1, num_frames=1)
    exact.model.load_state_dict(pipeline.model.state_dict())  # rounded to half precision
    assert torch.equal(latents_of(pipeline), latents_of(exact))


def test_both_stages_of_a_chain_say_what_they_repeated(loaded, stage_2_folder, tmp_path):
    """Stage 2 reads its video again."""
    first, second = loaded(**HALF), build_2(stage_2_folder, **HALF)
    for layer in (first.model.unet.conv_in, second.model.autoencoder.encoder.conv_in, second.model.unet.conv_in):
        scaled(layer, LARGE)
    call = {'steps': 1, 'num_frames': 2, 'seed': 1, 'height': 16, 'width': 16}
    output = tmp_path / 'video.mp4'
    result = modelscope_i2v.chain(str(IMAGE), stage1=first, stage2=second, output_video=output, **call)
    repeated = ['sampling'], ['encoding', 'sampling']
    assert (result['stage1']['repeated_in_float32'], result['repeated_in_float32']) == repeated
    assert tuple(entry['repeated_in_float32'] for entry in read_recipe(output)) == repeated


def test_each_stage_of_a_chain_has_its_own_precision():
    arguments = {'autoencoder_dtype': 'fp16', 'stage2_autoencoder_dtype': 'bf16'}
    shares = split_arguments(stage_of('image-to-video'), stage_of('video-to-video'), arguments)
    assert [share.loading for share in shares] == [{'autoencoder_dtype': 'fp16'}, {'autoencoder_dtype': 'bf16'}]


def test_autoencoders_of_different_precision_are_not_shared(loaded):
    one, same, half = (loaded(**options).model for options in ({}, {}, {'autoencoder_dtype': 'bf16'}))
    assert one.share_autoencoder(same)
    assert not one.share_autoencoder(half)


@pytest.mark.parametrize(
    ('place', 'said', 'image_strength', 'passes'),
    [
        ('autoencoder.encoder.conv_in', 'Encoding the input produced NaN', 0.5, 0),
        ('unet.conv_in', 'The first sampling step produced NaN', 0.0, 2),
        ('autoencoder.decoder.conv_in', 'Decoding produced NaN', 0.0, 6),
    ],
)
def test_damaged_weights_are_found_in_their_phase(loaded, caplog, place, said, image_strength, passes):
    pipeline = loaded(image_strength=image_strength)
    scaled(pipeline.model.get_submodule(place), float('nan'))
    with unet_calls(pipeline) as calls, pytest.raises(DeviceError, match=f'^{said}.* Are the weights damaged'):
        pipeline(str(IMAGE), output_type='np')
    assert len(calls) == passes
    assert 'float32 now' not in caplog.text


@pytest.mark.parametrize(
    ('dtype', 'largest', 'said'),
    [
        ('fp16', float('inf'), r"Some weights are too large for torch.float16. Build .* dtype='fp32' or 'bf16'\.$"),
        ('fp16', float('nan'), 'Are the weights damaged[^.]*$'),
        ('bf16', 3e38, 'Are the weights damaged[^.]*$'),
    ],
)
def test_what_float32_cannot_help_is_not_repeated(loaded, caplog, dtype, largest, said):
    pipeline = loaded(dtype=dtype, **ONE)
    scaled(pipeline.model.unet.conv_in, largest)
    found = rf'^The first sampling step produced NaN or infinite values in torch.b?float16 on cpu\. {said}'
    with unet_calls(pipeline) as calls, pytest.raises(DeviceError, match=found):
        pipeline(str(IMAGE))
    assert len(calls) == 2
    assert 'float32 now' not in caplog.text


def test_latents_too_large_for_float32_are_found_at_the_next_step(loaded, caplog):
    pipeline = loaded(**HALF)
    steps = []

    def callback(_, step, timestep, state):
        steps.append(step)
        return {'latents': torch.full_like(state['latents'], 1e37)}

    with pytest.raises(DeviceError, match=r"^Sampling produced NaN .* in torch.float32 .* 'callback_on_step_end'"):
        pipeline(str(IMAGE), callback_on_step_end=callback)
    assert steps == [0, 0]
    assert caplog.text.count('It is repeated in float32 now') == 1
    assert pipeline.model.dtype == torch.float16


def test_what_a_callback_computes_is_not_repeated(loaded, caplog):
    pipeline = loaded(**HALF)
    scaled(pipeline.model.autoencoder.decoder.conv_in, LARGE)
    steps = []

    def callback(pipe, step, timestep, state):
        steps.append(step)
        list(pipe.model.decode(state['latents']))

    with pytest.raises(NotFiniteError, match='^Decoding produced NaN'):
        pipeline(str(IMAGE), callback_on_step_end=callback)
    assert steps == [0]
    assert 'float32 now' not in caplog.text


def test_a_call_inside_a_repetition_is_like_any_other(loaded):
    pipeline = loaded(**HALF, **ONE)
    scaled(pipeline.model.unet.conv_in, LARGE)
    inner = []

    def callback(pipe, *_):
        inner.append(pipe(str(IMAGE), output_type='latent'))
        assert pipe.model.dtype == torch.float32

    outer = pipeline(str(IMAGE), output_type='latent', callback_on_step_end=callback)
    [same] = inner
    assert same['repeated_in_float32'] == outer['repeated_in_float32'] == ['sampling']
    assert torch.equal(same[VIDEO], outer[VIDEO])
    assert pipeline.model.dtype == torch.float16


@pytest.mark.parametrize('same_model', [True, False])
def test_pipelines_that_share_networks_take_turns(loaded, same_model):
    first = loaded(**HALF, **ONE)
    second = ImageToVideoPipeline(first.model, show_progress=False, **FAST) if same_model else loaded(**HALF, **ONE)
    assert same_model or second.model.share_autoencoder(first.model)
    scaled(first.model.unet.conv_in, LARGE)
    alone = latents_of(second, **ONE)
    with ThreadPoolExecutor(1) as pool:
        other = []

        def callback(*_):
            other.append(pool.submit(latents_of, second, **ONE))
            assert not wait(other, timeout=1).done  # without turns, it takes a fraction of that

        latents_of(first, callback_on_step_end=callback)
        assert torch.equal(other[0].result(), alone)


def test_a_copy_of_a_model_takes_no_turns_with_it(loaded):
    pipeline = loaded(**ONE)
    pipeline(str(IMAGE), output_type='np')
    model, copied = pipeline.model, copy.deepcopy(pipeline.model)
    assert copied.precision is not model.precision
    assert copied.stage is model.stage is copied.folder.stage


def test_networks_get_back_the_precision_that_they_had(loaded, tmp_path):
    """Whatever the pipeline was built with: a user may have changed it since."""
    pipeline = loaded(**ONE)
    pipeline.model.clip.half()
    pipeline.model.unet.half()
    scaled(pipeline.model.unet.conv_in, LARGE)
    before = weights_of(pipeline)
    result = pipeline(str(IMAGE), output_video=tmp_path / 'video.mp4')
    assert result['repeated_in_float32'] == ['sampling']
    assert read_recipe(tmp_path / 'video.mp4')[0]['dtype'] == 'float16'
    assert_same_weights(pipeline, before)


def test_xformers_is_left_out_in_float32(loaded):
    """It was tried in half precision only."""
    model = loaded(**HALF).model
    model.execution = dataclasses.replace(model.execution, attention='xformers')

    def backends():
        return {layer.backend for layer in model.unet.modules() if isinstance(layer, AttentionLayer)}

    with model.in_float32(SAMPLING):
        assert backends() == {'sdpa'}
        with model.in_own_precision():
            assert backends() == {'xformers'}
        assert backends() == {'sdpa'}
    assert backends() == {'xformers'}


@pytest.mark.parametrize(
    ('place', 'watched'),
    [
        ('autoencoder.encoder.conv_in', 'autoencoder.quant_conv'),
        ('unet.conv_in', 'clip'),
        ('autoencoder.decoder.conv_in', 'autoencoder.decoder.conv_out'),
    ],
)
def test_what_overflowed_is_freed_before_the_repetition(loaded, place, watched):
    pipeline = loaded(**HALF, **ONE, image_strength=0.5)
    scaled(pipeline.model.get_submodule(place), LARGE)
    made, alive = [], []

    def hook(layer, inputs, output):
        if output.dtype == torch.float32:
            alive.extend(not memory.expired() for memory in made)
            made.clear()
        else:
            made.append(StorageWeakRef(output.untyped_storage()))

    pipeline.model.get_submodule(watched).register_forward_hook(hook)
    gc.disable()
    try:
        pipeline(str(IMAGE), output_type='np')
    finally:
        gc.enable()
    assert alive
    assert not any(alive)


def test_running_out_of_memory_in_float32_has_its_own_advice(loaded):
    pipeline = loaded(**HALF, **ONE)
    scaled(pipeline.model.unet.conv_in, LARGE)

    def hook(network, _):
        if network.dtype == torch.float32:
            raise torch.OutOfMemoryError('too much')

    pipeline.model.unet.register_forward_pre_hook(hook)
    with pytest.raises(DeviceError, match='^Out of memory: too much Half precision was not enough') as caught:
        pipeline(str(IMAGE))
    assert 'fp16' not in str(caught.value)
    assert pipeline.model.dtype == torch.float16


def test_the_log_variance_is_checked_too(loaded):
    model = loaded().model
    model.autoencoder.quant_conv.bias.data[-4:] = float('nan')
    with pytest.raises(NotFiniteError, match='^Encoding the input produced NaN'):
        model.encode(torch.zeros(1, 3, 32, 32))


def test_a_phase_that_is_repeated_once_more_is_named_once():
    """As after running out of memory in float32, at the next memory level."""
    error = NotFiniteError('too large')
    error.repeat = SAMPLING
    repeats = Repeats(lambda phase: nullcontext(), [])
    results = iter([error, torch.OutOfMemoryError('full'), error, 'done'])

    def part():
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    with pytest.raises(torch.OutOfMemoryError):
        repeats.run(part)
    assert repeats.run(part) == 'done'
    assert repeats.phases == ['sampling']


def test_an_error_that_is_only_a_message_is_not_repeated():
    """ModelScope builds errors again from their message."""
    error = NotFiniteError('NotFiniteError: Decoding produced NaN')

    def part():
        raise error

    with pytest.raises(NotFiniteError) as caught:
        Repeats(lambda phase: pytest.fail('repeated'), []).run(part)
    assert caught.value is error


def test_half_precision_of_the_autoencoder_is_close_to_float32(loaded):
    latents = 0.2 * torch.randn(1, 4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    whole, half, coarse = (
        torch.cat(list(loaded(autoencoder_dtype=dtype).model.decode(latents)))
        for dtype in (None, 'fp16', torch.bfloat16)
    )
    assert whole.dtype == half.dtype == coarse.dtype == torch.float32
    assert 0 < (half - whole).abs().max() < 0.01 * whole.std()
    assert 0 < (coarse - whole).abs().max() < 0.1 * whole.std()


def test_a_limit_makes_bands_of_the_same_frames(loaded):
    plain = loaded(height=128, image_strength=0.5)
    limited = loaded(height=128, image_strength=0.5)
    limited.model.execution = dataclasses.replace(limited.model.execution, autoencoder_limit=0)
    calls = []
    for each in (plain, limited):
        each.model.autoencoder.decoder.conv_out.register_forward_hook(lambda *_, each=each: calls.append(each))
    whole, banded = (each(str(IMAGE), output_type='pt')[VIDEO] for each in (plain, limited))
    assert (banded - whole).abs().max() < 1e-4
    # Both frames at once; each in as many bands as sixteen rows of latents allow.
    assert (calls.count(plain), calls.count(limited)) == (1, 2 * 8)


def test_only_known_precisions_are_taken(stage_1_folder, loaded):
    with pytest.raises(InputError, match="'autoencoder_dtype' must be one of 'fp32', 'fp16', 'bf16', found 'auto'"):
        build(stage_1_folder, autoencoder_dtype='auto')
    with pytest.raises(TypeError, match="'autoencoder_dtype' is for building a model"):
        ImageToVideoPipeline(loaded().model, autoencoder_dtype='fp16')


def test_the_command_line_takes_it(stage_1_folder, tmp_path, capsys):
    output = str(tmp_path / 'video.mp4')
    model = ['--model', str(stage_1_folder), '--autoencoder-dtype', 'bf16', '--no-show-progress', '--json']
    assert main(['image-to-video', str(IMAGE), '-o', output, '--num-frames', '1', '--steps', '1', *model]) == 0
    assert 'repeated_in_float32' not in json.loads(capsys.readouterr().out)
    assert read_recipe(output)[0]['autoencoder_dtype'] == 'bfloat16'

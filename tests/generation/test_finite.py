"""NaN and infinity: which phase is named, and what half precision cannot do is done in float32."""

import dataclasses
import json
import logging

import pytest
import torch

import modelscope_i2v
from modelscope_i2v import ImageToVideoPipeline
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.chain_arguments import split_arguments
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.stage import stage_of
from tests.calls import VIDEO, build, build_2, latents_of, unet_calls
from tests.folders import IMAGE

HALF = {'dtype': 'fp16', 'autoencoder_dtype': 'fp16'}
#: Half precision can hold this, but hardly more: its largest number is 65504.
LARGE = 6e4
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


def test_damaged_weights_stay_damaged_in_float32(loaded):
    pipeline = loaded(**HALF)
    scaled(pipeline.model.unet.conv_in, float('nan'))
    with pytest.raises(DeviceError, match=r'^The first sampling step produced NaN or infinite values in torch.float32'):
        pipeline(str(IMAGE))
    assert pipeline.model.dtype == torch.float16


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

"""Pipelines whose weights rest in fp8: wherever they wait, with everything else that a call can be given."""

import dataclasses
import json
import logging

import pytest
import torch

import modelscope_i2v
from benchmarks.first_generation import MODELS
from modelscope_i2v import ImageToVideoPipeline
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import CheckpointError, InputError
from modelscope_i2v.generation.argument_names import hint
from modelscope_i2v.generation.call_estimate import model_of
from modelscope_i2v.generation.chain_arguments import split_arguments
from modelscope_i2v.generation.finite import SAMPLING
from modelscope_i2v.generation.memory import weights_of
from modelscope_i2v.generation.work import BUS
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.networks.unet import run_block
from modelscope_i2v.runtime.compilation import Compiled
from modelscope_i2v.runtime.fp8 import FP8, is_resting, to_fp8
from modelscope_i2v.runtime.placement import tensors_of
from modelscope_i2v.stage import stage_of
from modelscope_i2v.weights.lora.layers import lora_layers
from tests.calls import CLIP, VIDEO, build, latents_of
from tests.fake_device import NAMES, FakeDevice
from tests.folders import IMAGE
from tests.generation.test_finite import LARGE, scaled
from tests.generation.test_memory import GIB
from tests.generation.test_placement import STAGES, phases
from tests.lora_files import LAYERS, write_lora

FAST = {'steps': 2, 'num_frames': 2, 'seed': 1, 'height': 32, 'width': 32}
RESTING = {'weights_dtype': 'fp8'}
SAID = 'rest in fp8, which changes numbers: a seed gives another video than without.'
LEVELS = ('ample', 'full', 'offload', 'low', '1GB')
#: Levels that move something.
MOVING = ('offload', 'low')


def bytes_of(model):
    """Of the weights of a model, and of buffers that files have."""
    networks = [getattr(model, name) for name in NAMES]
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    masks = [module.attn_mask for network in networks for module in network.modules() if hasattr(module, 'attn_mask')]
    return sum(tensor.nbytes for tensor in tensors) - sum(mask.nbytes for mask in masks if mask is not None)


def apart(one, other):
    """How far latents are from others, relative to their size."""
    return float((one - other).square().mean().sqrt() / other.square().mean().sqrt())


@pytest.mark.parametrize('folder', STAGES)
def test_it_is_the_same_video_wherever_weights_wait(folder, request):
    source, options, computing = STAGES[folder]
    task = 'video-to-video' if folder == 'stage_2_folder' else 'image-to-video'
    found = {}
    for memory in LEVELS:
        pipeline = build(request.getfixturevalue(folder), task, memory=memory, **RESTING, **FAST, **options)
        model, device = pipeline.model, FakeDevice(pipeline.model)
        order = phases(pipeline, device) if memory in MOVING else []
        found[memory] = pipeline(source, output_type='latent')[VIDEO]
        clip = sum(tensor.nbytes for tensor in tensors_of([model.clip]))
        held = {'offload': model.weights.unet, 'low': model.weights.streamed}.get(memory)
        assert device.peak == (0 if held is None else max(clip, held, model.weights.autoencoder))
        assert [name for name, _ in order] == (list(computing[:-1]) if held else [])
        assert device.held() == 0
        assert [is_resting(getattr(model, name)) for name in NAMES] == [True, True, False]
    for memory in LEVELS[1:]:
        assert torch.equal(found[memory], found['full'])
    assert apart(found['ample'], found['full']) < 1e-3


@pytest.mark.parametrize(('task', 'least', 'most'), [('image-to-video', 0.02, 0.06), ('video-to-video', 0.0002, 0.01)])
def test_how_far_videos_of_trained_networks_are_apart(task, least, most):
    """Small models of the first generation, as in docs/performance.md. Random networks would differ much more."""
    folder = MODELS[task]
    source = str(IMAGE) if task == 'image-to-video' else CLIP
    plain, again, resting = (
        latents_of(build(folder, task, **FAST, **options), source) for options in ({}, {}, RESTING)
    )
    assert torch.equal(plain, again)
    assert least < apart(resting, plain) < most


@pytest.mark.parametrize('dtype', ['fp32', 'fp16', 'bf16'])
def test_weights_are_counted_as_they_are(stage_1_folder, dtype):
    plain, resting = (build(stage_1_folder, dtype=dtype, **options).model for options in ({}, RESTING))
    assert bytes_of(resting) == resting.weights.total
    assert bytes_of(plain) == plain.weights.total
    assert resting.dtype == plain.dtype
    itemsize = plain.dtype.itemsize
    assert resting.weights.blocks < 1.25 / itemsize * plain.weights.blocks  # small nets have many norms and biases
    assert resting.weights.autoencoder == plain.weights.autoencoder
    assert resting.weights.unet_cast > resting.weights.clip_cast > 0
    assert plain.weights.unet_cast == plain.weights.clip_cast == 0


def test_known_bytes_of_the_published_models():
    """Of 1.4 billion weights of a UNet, all but 1.3 % rest in a byte each."""
    for name in ('image-to-video', 'video-to-video', 'i2vgen-xl'):
        networks = model_of(name).build_networks()
        half, eight = (weights_of(networks, torch.float16, weights_dtype=resting) for resting in (None, FP8))
        assert eight.unet / half.unet == pytest.approx(0.505, abs=0.005)
        assert eight.blocks / half.blocks == pytest.approx(0.501, abs=0.001)
        assert eight.clip / half.clip == pytest.approx(0.54, abs=0.04)  # words and positions stay
        assert eight.autoencoder == half.autoencoder
        # A convolution of 2560 channels to 1280 is the largest weight.
        assert eight.unet_cast == 2 * 9 * 2560 * 1280
        assert eight.clip_cast in (2 * 4 * 1280 * 1280, 2 * 4 * 1024 * 1024)


@pytest.mark.slow
def test_both_stages_fit_into_3_gib():
    for name in ('image-to-video', 'video-to-video'):
        found = modelscope_i2v.estimate(name, weights_dtype='fp8', memory='low')
        [low] = [level for level in found.levels if level.level == found.chosen]
        assert low.device < 2.2 * GIB < 3 * GIB


def test_an_estimate_knows_it():
    folder = modelscope_i2v.embedded_model('image-to-video')
    plain, resting = (modelscope_i2v.estimate(folder, steps=20, rate=1e30, weights_dtype=each) for each in (None, FP8))
    assert (plain.weights_dtype, resting.weights_dtype) == (None, 'fp8')
    for before, after in zip(plain.levels, resting.levels, strict=True):
        assert after.device < before.device if after.level in ('full', 'ample') else after.device <= before.device
        assert after.main < before.main or after.main == 0
        assert after.operations == before.operations
    low = resting.levels[-1]
    passes = resting.passes.whole + resting.passes.outer
    assert low.seconds == pytest.approx((passes * resting.weights.blocks + resting.weights.total) / BUS)
    assert low.seconds < 0.6 * plain.levels[-1].seconds
    sample, cast = next(phase for phase in low.phases if phase.name == 'sample'), resting.weights.unet_cast
    before = next(phase for phase in plain.levels[-1].phases if phase.name == 'sample')
    assert sample.activations == before.activations + cast  # the layer's own precision, while it computes
    with pytest.raises(InputError, match="'weights_dtype' must be 'fp8', or None .*, found 'fp4'"):
        modelscope_i2v.estimate(folder, weights_dtype='fp4')


def test_only_a_user_chooses_it_and_a_line_says_what_it_does(stage_1_folder, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        plain = build(stage_1_folder, memory='auto', **FAST)
        plain(str(IMAGE), output_video=tmp_path / 'plain.mp4')
    assert 'fp8' not in caplog.text
    assert 'weights_dtype' not in read_recipe(tmp_path / 'plain.mp4')[0]
    resting = build(stage_1_folder, **RESTING, **FAST)
    [record] = [record for record in caplog.records if record.getMessage().endswith(SAID)]
    assert record.levelno == logging.WARNING
    resting(str(IMAGE), output_video=tmp_path / 'resting.mp4')
    entry = read_recipe(tmp_path / 'resting.mp4')[0]
    assert (entry['dtype'], entry['weights_dtype']) == ('float32', 'float8_e4m3fn')


def test_a_lora_is_added_before_weights_are_cast(stage_1_folder, tmp_path):
    path = write_lora(build(stage_1_folder).model.unet, tmp_path / 'a.safetensors')
    added, alone, both = (
        build(stage_1_folder, **options).model.unet for options in ({'lora': path}, RESTING, {'lora': path, **RESTING})
    )
    resting = 0
    for name, layer in lora_layers(added, LAYERS).items():
        weight = both.get_submodule(name).weight
        assert not torch.equal(weight, alone.get_submodule(name).weight)
        if is_resting(both.get_submodule(name)):
            numbers, scale = to_fp8(layer.weight)
            assert torch.equal(weight, numbers.float() * scale)
            resting += 1
        else:
            assert torch.equal(weight, layer.weight)
    assert resting > 20


@pytest.mark.slow
def test_it_is_compiled_if_asked_to(stage_1_folder):
    plain, compiled = (build(stage_1_folder, compile=each, **RESTING, **FAST) for each in (None, True))
    assert isinstance(compiled.model.unet.run_block, Compiled)
    compiled.model.unet.run_block = Compiled(run_block, backend='eager')
    assert torch.equal(latents_of(compiled), latents_of(plain))
    assert compiled.model.unet.run_block._compiled is not None  # it did not fall back


def test_what_is_repeated_in_float32_has_the_same_weights(stage_1_folder):
    pipeline = build(stage_1_folder, dtype='fp16', **RESTING, **FAST)
    layer = pipeline.model.unet.middle.residual.spatial.conv_in
    weight = layer.weight
    with pipeline.model.in_float32(SAMPLING):
        assert layer.weight.dtype == torch.float32
    assert torch.equal(layer.weight, weight)
    scaled(pipeline.model.unet.conv_in, LARGE)
    result = pipeline(str(IMAGE), output_type='latent')
    assert result['repeated_in_float32'] == ['sampling']
    assert result[VIDEO].isfinite().all()
    assert pipeline.model.dtype == torch.float16


def test_a_model_is_not_saved_by_accident(stage_1_folder, tmp_path):
    model = build(stage_1_folder, **RESTING).model
    with pytest.raises(CheckpointError, match='^Weights that rest in fp8 can neither be saved nor replaced'):
        torch.save(model.state_dict(), tmp_path / 'model.pth')
    assert list(tmp_path.iterdir()) == []


def test_where_it_can_be_given(stage_1_folder):
    with pytest.raises(InputError, match="'weights_dtype' must be 'fp8'"):
        build(stage_1_folder, weights_dtype='int8')
    with pytest.raises(InputError, match="found 'fp8'. Only weights may rest in it: that is weights_dtype='fp8'"):
        build(stage_1_folder, dtype='fp8')
    with pytest.raises(TypeError, match="'weights_dtype' is for building a model"):
        ImageToVideoPipeline(build(stage_1_folder).model, weights_dtype='fp8')
    assert hint('storage_dtype', {'weights_dtype'}) == " Did you mean 'weights_dtype'?"
    shares = split_arguments(stage_of('image-to-video'), stage_of('video-to-video'), {'stage2_weights_dtype': 'fp8'})
    assert [share.loading for share in shares] == [{}, {'weights_dtype': 'fp8'}]


def test_refusals_count_them(stage_1_folder):
    """A limit between the two."""
    plain, resting = (build(stage_1_folder, **options).model for options in ({}, RESTING))
    networks = plain.folder.build_networks()
    for model in (plain, resting):
        assert weights_of(networks, *model.execution.precisions) == model.weights
    assert resting.weights.total < plain.weights.total
    assert dataclasses.replace(resting.execution, weights_dtype=None).precisions == plain.execution.precisions


def test_the_command_line_takes_it(stage_1_folder, stage_2_folder, tmp_path, capsys):
    output = str(tmp_path / 'video.mp4')
    models = ['--model', str(stage_1_folder), '--stage2-model', str(stage_2_folder), '--no-show-progress', '--json']
    call = ['--num-frames', '1', '--steps', '1', '--height', '16', '--width', '16']
    assert main(['chain', str(IMAGE), '-o', output, *call, *models, '--stage2-weights-dtype', 'fp8']) == 0
    assert [entry.get('weights_dtype') for entry in read_recipe(output)] == [None, 'float8_e4m3fn']
    assert main(['image-to-video', str(IMAGE), '-o', output, *call, *models[:2], '--weights-dtype', 'fp8']) == 0
    assert read_recipe(output)[0]['weights_dtype'] == 'float8_e4m3fn'
    capsys.readouterr()
    assert main(['estimate', str(stage_1_folder), '--weights-dtype', 'fp8']) == 0
    assert ', fp16, weights in fp8, 20 steps, ' in capsys.readouterr().out
    assert main(['estimate', str(stage_1_folder), '--weights-dtype', 'fp8', '--json']) == 0
    assert json.loads(capsys.readouterr().out)['weights_dtype'] == 'fp8'

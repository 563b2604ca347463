"""``pipeline(..., lora=path, lora_scale=)``, ``--lora`` and what the recipe says about them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import CheckpointError, InputError
from modelscope_i2v.media.reading.info import read_recipe
from tests.calls import build, build_2, latents_of
from tests.folders import IMAGE
from tests.lora_files import write_lora

FAST = {'steps': 2, 'seed': 1, 'num_frames': 2}
#: The command line of a fast chain, and options of all fast runs.
CHAIN = ['chain', str(IMAGE), '-o', 'out.mp4', '--num-frames', '2', '--steps', '1', '--stage1-height', '32']
COMMON = ['--height', '32', '--device', 'cpu', '--no-show-progress']


@pytest.fixture(scope='module')
def loras(stage_1, stage_2, tmp_path_factory):
    """A LoRA of each stage's small model."""
    folder = tmp_path_factory.mktemp('lora')
    unets = {'first': stage_1.model.unet, 'second': stage_2.model.unet}
    return {name: write_lora(unet, folder / f'{name}.safetensors') for name, unet in unets.items()}


@pytest.fixture(scope='module')
def golden(golden_model, tmp_path_factory):
    """Stage 1 of the golden nets, its latents, and a LoRA for it."""
    pipeline = build(golden_model, **FAST)
    path = write_lora(pipeline.model.unet, tmp_path_factory.mktemp('lora') / 'red fox.safetensors')
    return pipeline, latents_of(pipeline), path


@pytest.mark.parametrize('as_type', [str, Path])
def test_it_changes_the_video_by_its_scale(golden_model, golden, as_type):
    _, without, path = golden
    whole, half = (
        latents_of(build(golden_model, lora=as_type(path), lora_scale=scale, **FAST)) for scale in (1.0, 0.5)
    )
    assert (whole - without).abs().max() > 0.01
    assert (half - without).abs().max() > 0.01
    assert (half - whole).abs().max() > 0.01
    assert torch.equal(latents_of(build(golden_model, lora=as_type(path), **FAST)), whole)


def test_scale_0_changes_nothing(golden_model, golden):
    _, without, path = golden
    assert torch.equal(latents_of(build(golden_model, lora=path, lora_scale=0, **FAST)), without)


def test_in_half_precision(golden_model, golden):
    _, _, path = golden
    pipeline = build(golden_model, lora=path, dtype='bf16', **FAST)
    assert {parameter.dtype for parameter in pipeline.model.unet.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in pipeline.model.parameters())


def test_stage_2(golden_model_2, tmp_path):
    without = build_2(golden_model_2, steps=1, seed=1)
    path = write_lora(without.model.unet, tmp_path / 'a.safetensors')
    changed = build_2(golden_model_2, steps=1, seed=1, lora=path)
    video = np.full((1, 72, 128, 3), 99, np.uint8)
    assert (latents_of(changed, video) - latents_of(without, video)).abs().max() > 0.01


def test_recipe(golden_model, golden):
    without, _, path = golden
    pipeline = build(golden_model, lora=path, lora_scale=0.5)
    recipe = pipeline.recipe(pipeline.resolve_arguments({}))
    assert (recipe['lora'], recipe['lora_scale']) == ('red fox.safetensors', 0.5)
    assert not {'lora', 'lora_scale'} & set(without.recipe(without.resolve_arguments({})))


@pytest.mark.parametrize(
    ('options', 'error', 'said'),
    [
        ({'lora': 3}, InputError, "'lora' must be the path of a file or None, found 3 (int)"),
        ({'lora': '/nope/a.safetensors'}, CheckpointError, "There is no LoRA file '/nope/a.safetensors'"),
        ({'lora_scale': 'much'}, InputError, "'lora_scale' must be a number of at least -100 and at most 100"),
        ({'lora_scale': 1000}, InputError, "'lora_scale' must be a number"),
        ({'lora_scal': 1}, TypeError, "Did you mean 'lora_scale'?"),
    ],
)
def test_wrong_options(golden_model, options, error, said):
    with pytest.raises(error, match=re.escape(said)):
        modelscope_i2v.ImageToVideoPipeline(str(golden_model), device='cpu', show_progress=False, **options)


def test_it_is_checked_before_weights_are_read(golden_model, golden, tmp_path):
    _, _, path = golden
    (tmp_path / 'configuration.json').write_bytes((golden_model / 'configuration.json').read_bytes())
    with pytest.raises(CheckpointError, match='There is no LoRA file'):
        modelscope_i2v.load(tmp_path, device='cpu', lora='nothing.safetensors')
    with pytest.raises(CheckpointError, match='open_clip_pytorch_model.bin does not exist'):
        modelscope_i2v.load(tmp_path, device='cpu', lora=path, show_progress=False)


def test_not_for_a_call_nor_for_a_model_that_is_built(golden):
    pipeline, _, path = golden
    with pytest.raises(TypeError, match="Unknown argument 'lora'"):
        pipeline(str(IMAGE), lora=str(path))
    with pytest.raises(InputError, match="'lora' needs a model's folder"):
        modelscope_i2v.ImageToVideoPipeline(pipeline.model, device='cpu', lora=path)


# The command line


@pytest.fixture
def run(stage_1_folder, stage_2_folder, tmp_path, monkeypatch, capsys):
    """Run a verb on small models in an empty folder: exit code and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        models = ['--model', str(stage_1_folder)]
        if arguments[0] == 'chain':
            models += ['--stage2-model', str(stage_2_folder)]
        return main([*arguments, *COMMON, *models]), capsys.readouterr().err

    return call


def test_image_to_video(run, loras):
    words = ['image-to-video', str(IMAGE), '-o', 'out.mp4', '--steps', '1', '--num-frames', '1']
    assert run(*words, '--lora', str(loras['first']), '--lora-scale', '-0.5') == (0, '')
    (entry,) = read_recipe('out.mp4')
    assert (entry['lora'], entry['lora_scale']) == ('first.safetensors', -0.5)


def test_chain_has_one_for_each_stage(run, loras):
    words = ['--lora', str(loras['first']), '--stage2-lora', str(loras['second']), '--stage2-lora-scale', '0.5']
    assert run(*CHAIN, *words) == (0, '')
    first, second = read_recipe('out.mp4')
    assert (first['lora'], first['lora_scale']) == ('first.safetensors', 1)
    assert (second['lora'], second['lora_scale']) == ('second.safetensors', 0.5)
    assert run(*CHAIN, *words[:2]) == (0, '')
    first, second = read_recipe('out.mp4')
    assert first['lora'] == 'first.safetensors'
    assert 'lora' not in second


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['--stage2-lora', 'first', '--keep-stage1', 'kept.mp4'], 'is for image-to-video, not for video-to-video'),
        (['--lora', 'second'], 'is for video-to-video, not for image-to-video'),
        (['--lora', 'nothing'], 'There is no LoRA file'),
        (['--lora-scale', '2'], "'lora_scale' needs 'lora'"),
        (['--stage2-lora', 'second', '--stage2-lora-scale', '101'], "'lora_scale' must be a number"),
    ],
)
def test_what_is_wrong_is_said_before_stage_1_is_made(run, loras, tmp_path, words, said):
    code, message = run(*CHAIN, *(str(loras.get(word, word)) for word in words))
    assert code == 1
    assert said in message
    assert not list(tmp_path.iterdir())

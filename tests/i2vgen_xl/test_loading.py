"""Weights and configurations of the second generation, and those that are taken for them."""

import json

import pytest
import torch

import modelscope_i2v
from modelscope_i2v.cli.main import main
from modelscope_i2v.errors import CheckpointError, ConfigurationError
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.networks import I2VGenXLUNet, ImageToVideoUNet
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from modelscope_i2v.weights import build_on_meta, load_weights
from modelscope_i2v.weights.bare_files import model_of_files
from modelscope_i2v.weights.convert import convert_model
from modelscope_i2v.weights.reader import read_state_dict
from modelscope_i2v.weights.save import configuration_of
from tests.folders import ABSENT, IMAGE, variant
from tests.golden import UNET_MICRO

CALL = {'steps': 2, 'num_frames': 2, 'seed': 3, 'output_type': 'latent', 'text': 'a fox'}


def load(folder):
    return modelscope_i2v.load(folder, device='cpu', show_progress=False)


def with_file(source, folder, key, other):
    """A model's folder whose file for ``key`` is the one of another model."""
    name = f'other{other.suffix}'
    made = variant(source, folder, {f'model.model_args.{key}': name})
    (made / name).hardlink_to(other)
    return made


@pytest.mark.parametrize(
    ('model', 'other', 'said'),
    [
        ('golden_model_i2vgen', 'golden_model', "do not fit I2VGenXLUNet .* of type 'image-to-video-model'"),
        ('golden_model', 'golden_model_i2vgen', "do not fit ImageToVideoUNet .* of type 'i2vgen-xl-model'"),
        ('golden_model_i2vgen', 'golden_model_2', "do not fit I2VGenXLUNet .* of type 'video-to-video-model'"),
        ('golden_model_2', 'golden_model_i2vgen', "do not fit VideoToVideoUNet .* of type 'i2vgen-xl-model'"),
    ],
)
def test_the_checkpoint_of_another_model_is_named(model, other, said, request, tmp_path):
    source, weights = (ModelFolder.read(request.getfixturevalue(name)) for name in (model, other))
    folder = with_file(source.path, tmp_path / 'model', 'ckpt_unet', weights.files['ckpt_unet'])
    with pytest.raises(CheckpointError, match=said) as caught:
        load(folder)
    assert 'Take the file for this network and this stage, or load a model of that type' in str(caught.value)
    with pytest.raises(CheckpointError, match=said):
        list(convert_model(ModelFolder.read(folder), tmp_path / 'small', torch.float16))


def test_networks_alone_say_so_too(golden_model, golden_model_i2vgen):
    first, second = (
        build_on_meta(lambda: ImageToVideoUNet(**UNET_MICRO)),
        build_on_meta(lambda: I2VGenXLUNet(**UNET_MICRO)),
    )
    with pytest.raises(CheckpointError, match="of type 'image-to-video-model'"):
        load_weights(second, golden_model / 'unet.pth')
    with pytest.raises(CheckpointError, match="of type 'i2vgen-xl-model'"):
        load_weights(first, golden_model_i2vgen / 'i2vgen_xl_00854500.pth')


def test_damaged_weights_belong_to_nobody(golden_model_i2vgen):
    weights = read_state_dict(golden_model_i2vgen / 'i2vgen_xl_00854500.pth')
    del weights['out.2.bias']
    with pytest.raises(CheckpointError, match='1 missing: conv_out.bias.* Check that the file is the one'):
        load_weights(build_on_meta(lambda: I2VGenXLUNet(**UNET_MICRO)), weights)


def test_a_clip_file_without_its_text_tower(golden_model_i2vgen, golden_model, tmp_path):
    converted = tmp_path / 'first'
    list(convert_model(ModelFolder.read(golden_model), converted, torch.float16))
    folder = with_file(golden_model_i2vgen, tmp_path / 'model', 'ckpt_clip', converted / 'clip.safetensors')
    with pytest.raises(CheckpointError, match="do not fit ClipEncoders .* The file has nothing for 'text' of this"):
        load(folder)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (
            {'model.type': 'i2vgen-xl'},
            "'image-to-video-model' or 'i2vgen-xl-model', found 'i2vgen-xl'. .*--stage STAGE",
        ),
        ({'model': 'i2vgen-xl'}, "'model.type' .* found None"),
        ({'task': ABSENT}, "'task' .* found None. .*--stage STAGE"),
        (
            {'pipeline.type': 'image-to-video-task-pipeline'},
            "must be 'i2v_gen_xl', found 'image-to-video-task-pipeline'",
        ),
        ({'model.model_args': {'ckpt': 'a.pth', 'seed': 1}}, "lacks the required 'ckpt_unet', .* found 'ckpt', 'seed'"),
        ({'model.model_cfg.unet.context_dim': 64}, "'unet.context_dim' is 64, but 'clip' gives text features of size"),
        ({'model.model_cfg.unet.image_embed_dim': 32}, "'unet.image_embed_dim' is 32, but 'clip' gives embeddings"),
        ({'model.model_cfg.height': 70}, "'height' must be a multiple of 32, found 70"),
        ({'model.model_cfg.negative_prompt': 5}, "'negative_prompt' must be a string, found 5"),
    ],
)
def test_a_configuration_of_another_shape_is_refused_with_what_was_found(changes, said, golden_model_i2vgen, tmp_path):
    folder = variant(golden_model_i2vgen, tmp_path / 'model', changes)
    with pytest.raises(ConfigurationError, match=said):
        load(folder)


def test_three_weight_files_make_a_model(golden_model_i2vgen, tmp_path):
    downloads = variant(golden_model_i2vgen, tmp_path / 'downloads', text='{}')
    source, files = model_of_files(downloads, I2VGEN_XL)
    assert files == {
        'ckpt_unet': (downloads / 'i2vgen_xl_00854500.pth',),
        'ckpt_clip': (downloads / 'open_clip_pytorch_model.bin',),
        'ckpt_autoencoder': (downloads / 'v2-1_512-ema-pruned.ckpt',),
    }
    assert source.configuration == I2VGEN_XL.configuration()
    # The small networks need their sizes, which no weight file holds.
    sizes = json.loads((golden_model_i2vgen / 'configuration.json').read_text())['model']['model_cfg']
    small = ModelFolder.parse(downloads, I2VGEN_XL, configuration_of(I2VGEN_XL, I2VGEN_XL.weight_files, sizes))
    list(convert_model(small, tmp_path / 'model', torch.float16))
    clip = read_state_dict(tmp_path / 'model' / 'clip.safetensors')
    assert {key.partition('.')[0] for key in clip} == {'image', 'text'}
    assert {tensor.dtype for tensor in clip.values() if tensor.is_floating_point()} == {torch.float16}
    expected, found = (
        load(folder)(IMAGE, **CALL)['output_video'] for folder in (golden_model_i2vgen, tmp_path / 'model')
    )
    assert 0 < (expected - found).abs().max() < 0.05 * expected.abs().max()


def test_the_command_needs_the_stages_own_files(golden_model_i2vgen, golden_model, tmp_path, capsys):
    new = str(tmp_path / 'new')
    assert main(['convert', str(golden_model), '--stage', 'i2vgen-xl', '-o', new]) == 1
    said = capsys.readouterr().err
    assert f"'{golden_model}' lacks 'i2vgen_xl_00854500.pth', found 'configuration.json', 'open_clip" in said
    assert (
        "A model of type 'i2vgen-xl-model' is made of 'i2vgen_xl_00854500.pth', 'open_clip_pytorch_model.bin'" in said
    )
    assert main(['convert', str(tmp_path / 'none'), '--stage', 'i2vgen-xl', '-o', new]) == 1
    assert 'There is no folder' in capsys.readouterr().err
    assert main(['convert', str(golden_model_i2vgen), '--stage', 'i2vgen-xl', '-o', new]) == 1
    assert 'with the wrong shape' in capsys.readouterr().err
    assert main(['convert', str(golden_model_i2vgen), '--stage', 'i2vgen-xl', '-o', new, '--model-revision', 'v1']) == 1
    assert 'which has no revisions' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['convert', str(golden_model_i2vgen), '--stage', 'x', '-o', new])
    assert "choose from 'image-to-video', 'video-to-video', 'i2vgen-xl'" in capsys.readouterr().err.replace('(', '')


def test_every_stage_can_be_made_of_files(golden_model, golden_model_2):
    for stage, folder in ((IMAGE_TO_VIDEO, golden_model), (VIDEO_TO_VIDEO, golden_model_2)):
        source, files = model_of_files(folder, stage)
        assert {key: (path,) for key, path in source.files.items()} == files

"""configuration.json: the hub's own minimal files work, and errors name everything that is wrong."""

import dataclasses
import json
import logging

import pytest

from modelscope_i2v.errors import ConfigurationError
from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.model_folder import ModelFolder, read_configuration
from tests.folders import ABSENT, edited

FILE = '/hub/configuration.json'


def parse_image_to_video(section, file):
    return ImageToVideoConfiguration.parse(section, file)


def parse_model_arguments(section, file):
    return ModelFolder.parse('/hub', IMAGE_TO_VIDEO, {'model': {'model_args': section}}).arguments


#: All keys of the hub's own stage-1 file that the original implementation reads.
HUB = {'batch_size': 1, 'target_fps': 8, 'max_frames': 32, 'latent_hei': 32, 'latent_wid': 56}
FILES = {
    'ckpt_unet': 'unet.pth',
    'ckpt_clip': 'open_clip_pytorch_model.bin',
    'ckpt_autoencoder': 'v2-1_512-ema-pruned.ckpt',
}


@pytest.mark.parametrize('section', [HUB, {}, None])
def test_hub_minimal_file_means_the_full_size_networks(section):
    configuration = dataclasses.asdict(parse_image_to_video(section, FILE))
    unet, autoencoder = configuration.pop('unet'), configuration.pop('autoencoder')
    guidance = {'guidance_scale': 3.0, 'guidance_rescale': 0.0, 'guidance_min_timestep': 0}
    solver = {'solver': 'ddim', 'timestep_spacing': None}
    assert configuration == {**HUB, **guidance, 'steps': None, 'most_steps': None, **solver, 'clip': 'ViT-H-14'}
    assert unet == {
        'in_channels': 4,
        'out_channels': 4,
        'model_channels': 320,
        'channel_mult': (1, 2, 4, 4),
        'num_res_blocks': 2,
        'attention_resolutions': (1, 2, 4),
        'num_heads': 8,
        'num_head_channels': 64,
        'context_dim': 1024,
        'norm_num_groups': 32,
        'image_embed_dim': 1024,
        'num_image_tokens': 4,
    }
    assert autoencoder == {
        'z_channels': 4,
        'embed_dim': 4,
        'channels': 128,
        'channel_mult': (1, 2, 4, 4),
        'num_res_blocks': 2,
        'norm_num_groups': 32,
        'attention': True,
        'scale_factor': 0.18215,
    }


def test_what_the_hub_file_says_about_calls():
    sizes = {'num_frames': 32, 'height': 256, 'width': 448, 'fps': 8}
    guidance = {'guidance_scale': 3.0, 'guidance_rescale': 0.0, 'guidance_min_timestep': 0}
    defaults = {**guidance, 'solver': 'ddim', **sizes}
    assert parse_image_to_video(HUB, FILE).call_defaults() == defaults
    for given in ({'steps': 30}, {'timestep_spacing': 'trailing'}):
        assert parse_image_to_video({**HUB, **given}, FILE).call_defaults() == {**defaults, **given}


def test_weight_files_and_seed():
    assert dataclasses.asdict(parse_model_arguments(FILES, FILE)) == {**FILES, 'seed': None, 'solver_mode': None}
    assert parse_model_arguments({**FILES, 'seed': 8888}, FILE).seed == 8888
    assert parse_model_arguments({**FILES, 'Seed': 8888}, FILE).seed == 8888  # as the model page spells it
    assert parse_model_arguments({**FILES, 'Seed': 1, 'seed': 2}, FILE).seed == 2


def test_parsing_changes_nothing():
    section = {**HUB, 'unet': {'channel_mult': [1, 2, 4, 4]}, 'unknown': 1}
    before = json.dumps(section)
    parse_image_to_video(section, FILE)
    assert json.dumps(section) == before


#: Place in the file (below ``model``), wrong value, what the error says about it.
WRONG = [
    ('model_args', [], 'must be a JSON object, found []'),
    ('model_args.ckpt_unet', ABSENT, "lacks the required 'ckpt_unet'"),
    ('model_args.ckpt_clip', 3, 'must be a string, found 3 (int)'),
    ('model_args.ckpt_autoencoder', None, 'must be a string, found None (NoneType)'),
    ('model_args.seed', '8888', "must be a whole number from 0 to 9223372036854775807, found '8888' (str)"),
    ('model_args.seed', -1, 'found -1'),
    ('model_args.seed', True, 'found True (bool)'),
    ('model_cfg', 'x', "must be a JSON object, found 'x'"),
    ('model_cfg.batch_size', 0, 'must be a whole number of at least 1, found 0'),
    ('model_cfg.target_fps', '8', "must be a number of at least 0.001 and at most 1000, found '8' (str)"),
    ('model_cfg.target_fps', 0, 'must be a number of at least 0.001 and at most 1000, found 0'),
    ('model_cfg.max_frames', 16.5, 'must be a whole number from 1 to 1000000, found 16.5 (float)'),
    ('model_cfg.max_frames', 10**9, 'must be a whole number from 1 to 1000000, found 1000000000'),
    ('model_cfg.latent_hei', 800000, 'must be a whole number from 1 to 2048, found 800000'),
    ('model_cfg.max_frames', None, 'found None (NoneType)'),
    ('model_cfg.latent_hei', 7, 'must be a multiple of 2, found 7'),
    ('model_cfg.latent_wid', '56', "found '56' (str)"),
    ('model_cfg.steps', 0, 'must be a whole number from 1 to 1000, found 0'),
    ('model_cfg.guidance_scale', -1, 'must be a number of at least 0 and at most 1000, found -1'),
    ('model_cfg.solver', 'ddmi', "must be one of 'ddim', 'dpmpp_2m', 'unipc', 'euler', found 'ddmi'. Did you mean"),
    ('model_cfg.timestep_spacing', 'even', "must be one of 'leading', 'trailing', 'karras', found 'even'"),
    ('model_cfg.unet', [], 'must be a JSON object, found []'),
    ('model_cfg.unet.channel_mult', 4, 'must be a non-empty list of whole numbers, found 4'),
    ('model_cfg.unet.channel_mult', [1, '2'], "must be a whole number from 1 to 100000, found '2' (str)"),
    ('model_cfg.unet.model_channels', 320.0, 'must be a whole number from 1 to 100000, found 320.0 (float)'),
    ('model_cfg.unet.model_channels', 48, "must be a multiple of 'norm_num_groups' (32), found 48"),
    ('model_cfg.unet.attention_resolutions', [1, 3], 'must be among the downsampling factors [1, 2]'),
    ('model_cfg.unet.num_head_channels', 48, 'must divide the width of every level with attention'),
    ('model_cfg.unet.in_channels', 8, "'autoencoder.embed_dim' (4) must be equal"),
    ('model_cfg.unet.image_embed_dim', 32, "'clip' gives embeddings of size 64. Make them equal"),
    ('model_cfg.autoencoder', 3, 'must be a JSON object, found 3'),
    ('model_cfg.autoencoder.scale_factor', 0, 'must be a number above 0, found 0'),
    ('model_cfg.autoencoder.channels', 33, "must be a multiple of 'norm_num_groups' (8), found 33"),
    ('model_cfg.clip', 14, 'must be an architecture name or a configuration, found 14'),
    ('model_cfg.clip', 'ViT-H-15', "does not have: 'ViT-H-15'. Did you mean 'ViT-H-1"),
    ('model_cfg.clip', 'hf-hub:owner/name', "does not have: 'hf-hub:owner/name'"),
    ('model_cfg.clip', {'embed_dim': 64}, "missing or malformed: ['vision_cfg']"),
    ('model_cfg.clip.embed_dim', '64', "must be a whole number of at least 1, found '64' (str)"),
    ('model_cfg.clip.vision_cfg.layers', 'two', "must be a whole number from 1 to 1000, found 'two' (str)"),
    ('model_cfg.clip.vision_cfg.layers', 2**62, 'must be a whole number from 1 to 1000'),
    ('model_cfg.clip.vision_cfg.patch_size', 0, 'must be a whole number of at least 1, found 0'),
    ('model_cfg.clip.vision_cfg', {'layers': [1]}, "cannot build 'clip.vision_cfg': list index out of range"),
    ('model_cfg.clip.vision_cfg.depth', 2, "unexpected keyword argument 'depth'"),
]


def named(place):
    """How errors name a place: by its last key, or by the whole path of a section."""
    return f'model.{place}' if place in ('model_args', 'model_cfg') else place.rpartition('.')[2]


@pytest.mark.parametrize(('place', 'value', 'said'), WRONG)
def test_wrong_values_are_named_by_every_door(place, value, said, stage_1_folder, tmp_path):
    """``load``, ``pipeline`` and ``Preprocessor`` alike: file, key, what was found, what is allowed."""
    from modelscope.pipelines import pipeline

    import modelscope_i2v

    content = json.loads((stage_1_folder / 'configuration.json').read_text())
    file = tmp_path / 'configuration.json'
    file.write_text(json.dumps(edited(content, {f'model.{place}': value})))
    for build in (
        lambda: modelscope_i2v.load(tmp_path, device='cpu', show_progress=False),
        lambda: pipeline('image-to-video', model=str(tmp_path), device='cpu', show_progress=False),
    ):
        with pytest.raises(ConfigurationError) as caught:
            build()
        message = str(caught.value)
        assert type(caught.value) is ConfigurationError
        assert str(file) in message
        assert named(place) in message
        assert said in message


@pytest.mark.parametrize('value', ['ViT-H-15', {'embed_dim': 64}, {'embed_dim': 64, 'vision_cfg': {'image_size': '6'}}])
def test_preprocessor_alone_names_the_file_too(value, stage_1_folder, tmp_path):
    from modelscope_i2v import ImageToVideoPreprocessor

    content = json.loads((stage_1_folder / 'configuration.json').read_text())
    (tmp_path / 'configuration.json').write_text(json.dumps(edited(content, {'model.model_cfg.clip': value})))
    with pytest.raises(ConfigurationError, match="configuration.json', section 'model.model_cfg': 'clip"):
        ImageToVideoPreprocessor(tmp_path)


@pytest.mark.parametrize(
    ('section', 'key', 'hint'),
    [
        ({'max_frame': 3}, 'max_frame', "Did you mean 'max_frames'?"),
        ({'unet': {'channels_mult': [1]}}, 'channels_mult', "Did you mean 'channel_mult'?"),
        ({'autoencoder': {'scale_facto': 1}}, 'scale_facto', "Did you mean 'scale_factor'?"),
        ({'zzz': 3}, 'zzz', ''),
    ],
)
def test_unknown_keys_only_warn(section, key, hint, caplog):
    assert parse_image_to_video(section, FILE) == parse_image_to_video({}, FILE)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in (f"'{key}'", FILE, hint, 'model.model_cfg'):
        assert part in record.getMessage()


def test_known_keys_do_not_warn(stage_1_folder, caplog):
    sections = json.loads((stage_1_folder / 'configuration.json').read_text())['model']
    parse_image_to_video(sections['model_cfg'], FILE)
    parse_model_arguments(sections['model_args'], FILE)
    assert caplog.records == []


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / 'configuration.json').write_bytes(b'\xef\xbb\xbf{"task": "t\xc3\xa4sk"}')
    assert read_configuration(tmp_path) == {'task': 'täsk'}

import json

import pytest
import torch

from tests.calls import build, build_2
from tests.folders import variant
from tests.golden import (
    AUTOENCODER_MICRO,
    AUTOENCODER_TINY,
    CLIP_TINY,
    CLIP_TINY_1024,
    UNET_MICRO,
    UNET_V2V_MICRO,
    checkpoint_like,
)


def write_configuration(folder, model_args=None, model_cfg=None, **sections):
    content = {
        'framework': 'pytorch',
        'task': 'image-to-video',
        'model': {
            'type': 'image-to-video-model',
            'model_args': {
                'ckpt_unet': 'unet.pth',
                'ckpt_clip': 'open_clip_pytorch_model.bin',
                'ckpt_autoencoder': 'v2-1_512-ema-pruned.ckpt',
                **(model_args or {}),
            },
            'model_cfg': {
                'batch_size': 1,
                'target_fps': 8,
                'max_frames': 5,
                'latent_hei': 8,
                'latent_wid': 12,
                'unet': UNET_MICRO,
                'autoencoder': AUTOENCODER_TINY,
                'clip': CLIP_TINY,
                **(model_cfg or {}),
            },
        },
        'pipeline': {'type': 'image-to-video-task-pipeline'},
        **sections,
    }
    (folder / 'configuration.json').write_text(json.dumps(content))
    return content


@pytest.fixture(scope='session')
def golden_model(tmp_path_factory):
    """A stage-1 folder like the hub's (pickles, the original's names and wrappers), with the golden nets."""
    from modelscope_i2v.networks import AutoencoderKL, ClipImageEncoder, ImageToVideoUNet
    from modelscope_i2v.weights import build_on_meta
    from modelscope_i2v.weights.synthetic import synthetic_state_dict

    folder = tmp_path_factory.mktemp('hub') / 'Image-to-Video'
    folder.mkdir()
    write_configuration(folder)
    unet = build_on_meta(lambda: ImageToVideoUNet(**UNET_MICRO))
    torch.save({'state_dict': checkpoint_like(unet, 'unet_i2v_micro'), 'step': 7}, folder / 'unet.pth')
    autoencoder = build_on_meta(lambda: AutoencoderKL(**AUTOENCODER_TINY))
    weights = checkpoint_like(autoencoder, 'autoencoder')
    stable_diffusion = {f'first_stage_model.{key}': tensor for key, tensor in weights.items()}
    stable_diffusion['model.diffusion_model.out.0.weight'] = torch.ones(3)
    torch.save({'state_dict': stable_diffusion, 'global_step': 3}, folder / 'v2-1_512-ema-pruned.ckpt')
    clip = build_on_meta(lambda: ClipImageEncoder(CLIP_TINY))
    tower = synthetic_state_dict({key: tensor.shape for key, tensor in clip.state_dict().items()})
    text = {'text_projection': torch.ones(64, 64), 'logit_scale': torch.tensor(1.0)}
    torch.save({**tower, **text}, folder / 'open_clip_pytorch_model.bin')
    return folder


@pytest.fixture(scope='session')
def golden_model_2(tmp_path_factory):
    """A stage-2 folder like the hub's, with the golden nets."""
    from modelscope_i2v.networks import AutoencoderKL, ClipTextEncoder, VideoToVideoUNet
    from modelscope_i2v.weights import build_on_meta
    from modelscope_i2v.weights.synthetic import synthetic_state_dict

    folder = tmp_path_factory.mktemp('hub') / 'Video-to-Video'
    folder.mkdir()
    content = {
        'framework': 'pytorch',
        'task': 'video-to-video',
        'model': {
            'type': 'video-to-video-model',
            'model_args': {
                'ckpt_unet': 'unet.pth',
                'ckpt_clip': 'open_clip_pytorch_model.bin',
                'ckpt_autoencoder': 'v2-1_512-ema-pruned.ckpt',
                'solver_mode': 'normal',
            },
            'model_cfg': {
                'batch_size': 1,
                'target_fps': 8,
                'max_frames': 3,
                'latent_hei': 32,
                'latent_wid': 56,
                'height': 144,
                'width': 256,
                'unet': UNET_V2V_MICRO,
                'autoencoder': AUTOENCODER_MICRO,
                'clip': CLIP_TINY_1024,
            },
        },
        'pipeline': {'type': 'video-to-video-pipeline'},
    }
    (folder / 'configuration.json').write_text(json.dumps(content))
    unet = build_on_meta(lambda: VideoToVideoUNet(**UNET_V2V_MICRO))
    torch.save({'state_dict': checkpoint_like(unet, 'unet_v2v_micro')}, folder / 'unet.pth')
    autoencoder = build_on_meta(lambda: AutoencoderKL(**AUTOENCODER_MICRO))
    weights = checkpoint_like(autoencoder, 'autoencoder_micro')
    stable_diffusion = {f'first_stage_model.{key}': tensor for key, tensor in weights.items()}
    torch.save({'state_dict': stable_diffusion}, folder / 'v2-1_512-ema-pruned.ckpt')
    clip = build_on_meta(lambda: ClipTextEncoder(CLIP_TINY_1024))
    shapes = {key.removeprefix('text.'): tensor.shape for key, tensor in clip.state_dict().items()}
    rest = {'text_projection': torch.ones(1024, 64), 'transformer.resblocks.1.ln_1.weight': torch.ones(1024)}
    torch.save({**synthetic_state_dict(shapes), **rest}, folder / 'open_clip_pytorch_model.bin')
    return folder


@pytest.fixture(scope='session')
def golden_model_i2vgen(tmp_path_factory):
    """A folder of the second generation, with the original's three weight files and the golden nets."""
    from modelscope_i2v.networks import AutoencoderKL, ClipEncoders, I2VGenXLUNet
    from modelscope_i2v.weights import build_on_meta
    from modelscope_i2v.weights.synthetic import synthetic_state_dict

    folder = tmp_path_factory.mktemp('hub') / 'I2VGen-XL'
    folder.mkdir()
    content = {
        'framework': 'pytorch',
        'task': 'image-to-video',
        'model': {
            'type': 'i2vgen-xl-model',
            'model_args': {
                'ckpt_unet': 'i2vgen_xl_00854500.pth',
                'ckpt_clip': 'open_clip_pytorch_model.bin',
                'ckpt_autoencoder': 'v2-1_512-ema-pruned.ckpt',
            },
            'model_cfg': {
                'max_frames': 4,
                'width': 96,
                'height': 64,
                'unet': UNET_MICRO,
                'autoencoder': AUTOENCODER_TINY,
                'clip': CLIP_TINY_1024,
            },
        },
        'preprocessor': {'type': 'i2vgen-xl-preprocessor'},
        'pipeline': {'type': 'i2v_gen_xl'},
    }
    (folder / 'configuration.json').write_text(json.dumps(content))
    unet = build_on_meta(lambda: I2VGenXLUNet(**UNET_MICRO))
    weights = checkpoint_like(unet, 'unet_i2vgen_micro')
    torch.save({'state_dict': weights, 'step': 854500}, folder / 'i2vgen_xl_00854500.pth')
    autoencoder = build_on_meta(lambda: AutoencoderKL(**AUTOENCODER_TINY))
    weights = checkpoint_like(autoencoder, 'autoencoder')
    stable_diffusion = {f'first_stage_model.{key}': tensor for key, tensor in weights.items()}
    torch.save({'state_dict': stable_diffusion}, folder / 'v2-1_512-ema-pruned.ckpt')
    clip = build_on_meta(lambda: ClipEncoders(CLIP_TINY_1024))
    shapes = {
        key.removeprefix('image.').removeprefix('text.text.'): tensor.shape for key, tensor in clip.state_dict().items()
    }
    rest = {'text_projection': torch.ones(1024, 64), 'transformer.resblocks.1.ln_1.weight': torch.ones(1024)}
    torch.save({**synthetic_state_dict(shapes), **rest}, folder / 'open_clip_pytorch_model.bin')
    return folder


@pytest.fixture(scope='session')
def i2vgen_folder(tmp_path_factory):
    """A small model of the second generation with synthetic weights."""
    from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
    from tests.small_models import write_model

    folder = tmp_path_factory.mktemp('second') / 'I2VGen-XL'
    write_model(I2VGEN_XL, folder)
    return folder


@pytest.fixture(scope='session')
def i2vgen(i2vgen_folder):
    """The pipeline of the small model of the second generation, with fast settings."""
    return build(i2vgen_folder, steps=2, num_frames=3)


@pytest.fixture(scope='session')
def stage_1_folder(tmp_path_factory):
    from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
    from tests.small_models import write_model

    folder = tmp_path_factory.mktemp('stage-1') / 'Image-to-Video'
    write_model(IMAGE_TO_VIDEO, folder)
    return folder


@pytest.fixture(scope='session')
def stage_1(stage_1_folder):
    """A small stage-1 pipeline with synthetic weights and fast settings."""
    return build(stage_1_folder, steps=2, num_frames=3)


@pytest.fixture(scope='session')
def stage_2_folder(tmp_path_factory):
    """A small stage-2 model with synthetic weights, for videos of a few pixels, with the built-in choice of solvers."""
    from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
    from tests.small_models import write_model

    folder = tmp_path_factory.mktemp('stage-2') / 'Video-to-Video'
    write_model(VIDEO_TO_VIDEO, folder)
    small = {'height': 32, 'width': 32, 'solver': None}
    changes = {f'model.model_cfg.{key}': value for key, value in small.items()}
    return variant(folder, tmp_path_factory.mktemp('small') / 'Video-to-Video', changes)


@pytest.fixture(scope='session')
def stage_2(stage_2_folder):
    """The pipeline of the small stage-2 model, with fast settings."""
    return build_2(stage_2_folder, steps=2)

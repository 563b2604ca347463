import json

import pytest
import torch

from tests.golden import AUTOENCODER_TINY, CLIP_TINY, UNET_MICRO, checkpoint_like


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
    """A stage-1 folder as the hub has it (pickles, the reference's names and wrappers), with the golden nets."""
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
def embedded_folder(tmp_path_factory):
    from modelscope_i2v.embedded import write_model

    folder = tmp_path_factory.mktemp('embedded') / 'Image-to-Video'
    write_model(folder)
    return folder


@pytest.fixture(scope='session')
def embedded(embedded_folder):
    """The embedded stage-1 pipeline, fast settings."""
    from modelscope.pipelines import pipeline

    import modelscope_i2v  # noqa: F401

    return pipeline(
        'image-to-video', model=str(embedded_folder), device='cpu', show_progress=False, steps=2, num_frames=3
    )

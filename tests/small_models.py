"""Small models of every stage with synthetic weights: they run, but have learnt nothing."""

from modelscope_i2v import networks
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from modelscope_i2v.weights import build_on_meta
from modelscope_i2v.weights.save import save_model
from modelscope_i2v.weights.synthetic import synthetic_state_dict

UNET = {
    'model_channels': 64,
    'channel_mult': [1, 2],
    'num_res_blocks': 1,
    'attention_resolutions': [2],
    'num_heads': 4,
    'num_head_channels': 16,
    'context_dim': 64,
}
AUTOENCODER = {'channels': 32, 'channel_mult': [1, 1, 2, 2], 'num_res_blocks': 1, 'norm_num_groups': 8}
CLIP = {
    'embed_dim': 64,
    'vision_cfg': {'image_size': 64, 'layers': 2, 'width': 64, 'head_width': 16, 'patch_size': 16},
    'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 64, 'heads': 4, 'layers': 2},
}
SHARED = {'target_fps': 8, 'max_frames': 16, 'autoencoder': AUTOENCODER, 'clip': CLIP}
MODEL_CFG = {
    IMAGE_TO_VIDEO: {**SHARED, 'latent_hei': 8, 'latent_wid': 8, 'steps': 20, 'unet': {**UNET, 'image_embed_dim': 64}},
    I2VGEN_XL: {**SHARED, 'height': 64, 'width': 64, 'steps': 20, 'unet': {**UNET, 'image_embed_dim': 64}},
    VIDEO_TO_VIDEO: {**SHARED, 'height': 128, 'width': 128, 'solver': 'dpmpp_2m_sde', 'steps': 8, 'unet': UNET},
}
#: UNet and CLIP tower of each stage.
NETWORKS = {
    IMAGE_TO_VIDEO: (networks.ImageToVideoUNet, networks.ClipImageEncoder),
    I2VGEN_XL: (networks.I2VGenXLUNet, networks.ClipEncoders),
    VIDEO_TO_VIDEO: (networks.VideoToVideoUNet, networks.ClipTextEncoder),
}


def write_model(stage, folder, changes=None):
    """Write a small model of ``stage`` to a new ``folder``, with ``changes`` to its ``model_cfg``."""
    unet, clip = NETWORKS[stage]
    model_cfg = {**MODEL_CFG[stage], **(changes or {})}
    parts = {
        'ckpt_unet': build_on_meta(lambda: unet(**model_cfg['unet'])),
        'ckpt_clip': build_on_meta(lambda: clip(model_cfg['clip'])),
        'ckpt_autoencoder': build_on_meta(lambda: networks.AutoencoderKL(**model_cfg['autoencoder'])),
    }
    for network in parts.values():
        shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
        network.load_state_dict(synthetic_state_dict(shapes), assign=True)
    save_model(folder, stage, parts, model_cfg)

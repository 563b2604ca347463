"""The networks as plain ``torch.nn.Module``s; they can be lifted out and used without ModelScope."""

from modelscope_i2v.networks.attention import attention, set_attention_backend
from modelscope_i2v.networks.autoencoder import AutoencoderKL
from modelscope_i2v.networks.clip import ClipEncoders, ClipImageEncoder, ClipTextEncoder
from modelscope_i2v.networks.i2vgen_xl_unet import I2VGenXLUNet
from modelscope_i2v.networks.image_to_video_unet import ImageToVideoUNet
from modelscope_i2v.networks.video_to_video_unet import VideoToVideoUNet

__all__ = [
    'AutoencoderKL',
    'ClipEncoders',
    'ClipImageEncoder',
    'ClipTextEncoder',
    'I2VGenXLUNet',
    'ImageToVideoUNet',
    'VideoToVideoUNet',
    'attention',
    'set_attention_backend',
]

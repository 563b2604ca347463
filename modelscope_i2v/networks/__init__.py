"""The networks as plain ``torch.nn.Module``s; they can be lifted out and used without ModelScope."""

from modelscope_i2v.networks.attention import attention, set_attention_backend
from modelscope_i2v.networks.autoencoder import AutoencoderKL
from modelscope_i2v.networks.clip import ClipImageEncoder
from modelscope_i2v.networks.unet import ImageToVideoUNet

__all__ = ['AutoencoderKL', 'ClipImageEncoder', 'ImageToVideoUNet', 'attention', 'set_attention_backend']

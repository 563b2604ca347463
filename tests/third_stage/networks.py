from dataclasses import asdict

from modelscope_i2v.generation.networks import autoencoder
from modelscope_i2v.networks import ClipTextEncoder
from modelscope_i2v.networks.parameters import UNetParameters
from modelscope_i2v.networks.unet import SpatioTemporalUNet


class TextToVideoUNet(SpatioTemporalUNet):
    def __init__(self, **unet):
        super().__init__(UNetParameters(**unet))

    def empty_conditions(self, x):
        return (x.new_empty(len(x), 7, self.config.context_dim),)

    def forward(self, x, t, text_features):
        return self.trunk(x, self._embed(t, self.time_embedding), text_features)


NETWORKS = {
    'ckpt_clip': lambda configuration: ClipTextEncoder(configuration.clip),
    'ckpt_unet': lambda configuration: TextToVideoUNet(**asdict(configuration.unet)),
    'ckpt_autoencoder': autoencoder,
}


def check_networks(networks):
    assert networks['ckpt_clip'].width == networks['ckpt_unet'].config.context_dim

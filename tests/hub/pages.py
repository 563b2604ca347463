"""Model pages like those on the hub."""

import torch

from tests.folders import variant
from tests.hub.client import AUTOENCODER, UNET


def page(source, folder, changes=None):
    """A model's page on the hub: the model in ``source``, and files that no task needs."""
    variant(source, folder, changes)
    (folder / 'README.md').write_text('# A page')
    (folder / 'samples').mkdir()
    (folder / 'samples' / 'demo.mp4').write_bytes(b'video' * 1000)
    return folder


def other_unet(folder):
    """Change the UNet of a page."""
    weights = torch.load(folder / UNET, weights_only=True)
    weights['state_dict']['out.2.bias'] += 1
    (folder / UNET).unlink()
    torch.save(weights, folder / UNET)


def other_autoencoder(model, folder):
    """Give a page the autoencoder of ``model`` with its last byte changed; returns the new content."""
    content = bytearray((model / AUTOENCODER).read_bytes())
    content[-1] ^= 1
    (folder / AUTOENCODER).unlink()
    (folder / AUTOENCODER).write_bytes(content)
    return content

"""The Python blocks of a Markdown file, and a folder with the files that they name."""

import re
import shutil
from pathlib import Path

import numpy as np
import torch

from modelscope_i2v.media.writing.write import write_video
from modelscope_i2v.networks import ImageToVideoUNet
from modelscope_i2v.weights import build_on_meta
from tests.folders import IMAGE
from tests.golden import UNET_MICRO
from tests.lora_files import write_lora

ROOT = Path(__file__).parents[2]


def python_blocks(path):
    return re.findall(r'^```python\n(.*?)^```$', path.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL)


def on_cpu(block):
    """``block`` with the only change that a machine without a GPU needs."""
    return re.sub(r"device='cuda:\d'", "device='cpu'", block)


def prepare(folder):
    """Put pictures, videos and weights in ``folder`` under the names that the documents use."""
    for name in ('photo.jpg', 'your_image.jpg'):
        shutil.copyfile(IMAGE, folder / name)
    write_video(np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), np.uint8), folder / 'your_video.mp4', fps=8)
    (folder / 'fox').mkdir()
    write_lora(build_on_meta(lambda: ImageToVideoUNet(**UNET_MICRO)), folder / 'fox' / 'lora.safetensors')
    # The full-size UNet in a file of a few hundred kilobytes: every tensor is one zero, seen many times.
    shapes = {key: tensor.shape for key, tensor in build_on_meta(ImageToVideoUNet).state_dict().items()}
    torch.save({key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}, folder / 'unet.pth')
    return folder

"""All pictures of the model pages, and the README's: ``python -m model_card.pictures``.

It needs the extras ``test`` and ``train``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from model_card.pictures.figures import draw_framework, draw_second_generation, draw_unet
from model_card.pictures.strips import save_readme_strip, save_samples, save_strips

HERE = Path(__file__).parent.parent


def main() -> None:
    """Write them."""
    first, second = HERE / 'Image-to-Video' / 'assets', HERE / 'Video-to-Video' / 'assets'
    draw_framework(first / 'framework.png')
    draw_unet(first / 'unet.png')
    draw_second_generation(HERE / 'I2VGen-XL' / 'assets' / 'framework.png')
    save_strips(first / 'strips.jpg', second / 'strips.jpg')
    save_samples(first / 'sample.gif', second / 'sample.gif')
    save_readme_strip(HERE.parent / 'docs' / 'assets' / 'strip.png')
    shutil.copyfile(first / 'framework.png', second / 'framework.png')
    shutil.copyfile(HERE.parent / 'examples' / 'cat.jpg', first / 'example.jpg')


if __name__ == '__main__':
    main()

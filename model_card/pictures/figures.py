"""The figures of the model pages: both stages together, the UNet of the first, and the second generation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from model_card.pictures.drawing import Box, Sheet
from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.networks.build import build_networks
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO


def billions(network: object) -> str:
    """How many parameters, for example '1.42 B'."""
    return f'{sum(parameter.numel() for parameter in network.parameters()) / 1e9:.2f} B'  # type: ignore[attr-defined]


def draw_framework(path: Path) -> None:
    """From a picture through both stages to a video of 1280x720."""
    first, second = (
        build_networks(stage.networks, stage.configuration()) for stage in (IMAGE_TO_VIDEO, VIDEO_TO_VIDEO)
    )
    sheet = Sheet(11, 5.2)
    for x, y, title in ((1.35, 4.85, 'Stage 1: image-to-video'), (2.2, 2.2, 'Stage 2: video-to-video')):
        sheet.text(title, x, y, 9, weight='bold')
    picture = sheet.box('picture\n(central square)', 0.8, 3.9, 1.3, 0.8, 'data')
    image_tower = sheet.box(
        f'CLIP ViT-H/14\nimage tower\n{billions(first["ckpt_clip"])}', 2.6, 3.9, 1.5, 0.9, 'network'
    )
    embedding = sheet.box('embedding 1024\n→ 4 tokens', 4.45, 3.9, 1.4, 0.7, 'data')
    noise = sheet.box('noise\n4 x 32 x 32 x 56', 4.45, 2.9, 1.4, 0.6, 'data')
    unet_1 = sheet.box(
        f'spatio-temporal UNet\n{billions(first["ckpt_unet"])}\nDDIM, 50 steps\nguidance 3.0',
        6.5,
        3.6,
        1.8,
        1.3,
        'sampler',
    )
    decoder_1 = sheet.box('autoencoder\ndecoder', 8.5, 3.6, 1.3, 0.8, 'network')
    low = sheet.box('32 frames\n448x256', 10.15, 3.6, 1.2, 0.8, 'data')
    fps = sheet.box('fps 8', 6.5, 4.75, 0.8, 0.35, 'data')
    for start, end in ((picture, image_tower), (image_tower, embedding)):
        sheet.arrow(start.right, end.left)
    sheet.arrow(embedding.right, (unet_1.left[0], 3.75))
    sheet.arrow(noise.right, (unet_1.left[0], 3.25))
    sheet.arrow(fps.bottom, unet_1.top)
    sheet.arrow(unet_1.right, decoder_1.left)
    sheet.arrow(decoder_1.right, low.left)

    resize = sheet.box('resize to\n1280x720', 0.8, 1.35, 1.2, 0.7)
    encoder = sheet.box('autoencoder\nencoder', 2.5, 1.35, 1.3, 0.8, 'network')
    noised = sheet.box('+ noise\n(level 600 of 1000)', 4.45, 1.35, 1.5, 0.7)
    unet_2 = sheet.box(
        f'spatio-temporal UNet\n{billions(second["ckpt_unet"])}\nDPM++ 2M SDE, 30 steps\nor Heun, 50; guidance 7.5',
        6.75,
        1.35,
        2.1,
        1.1,
        'sampler',
    )
    decoder_2 = sheet.box('autoencoder\ndecoder', 8.75, 1.35, 1.2, 0.8, 'network')
    high = sheet.box('32 frames\n1280x720', 10.25, 1.35, 1.1, 0.8, 'data')
    text = sheet.box('text', 4.45, 0.25, 0.8, 0.4, 'data')
    text_tower = sheet.box('CLIP ViT-H/14\ntext tower', 6.0, 0.25, 1.4, 0.5, 'network')
    for start, end in ((resize, encoder), (encoder, noised), (noised, unet_2), (unet_2, decoder_2), (decoder_2, high)):
        sheet.arrow(start.right, end.left)
    sheet.arrow(text.right, text_tower.left)
    sheet.arrow(text_tower.top, (6.0, unet_2.bottom[1]))
    sheet.arrow(low.bottom, (low.x, 2.55))
    sheet.axes.plot([low.x, low.x, resize.x], [2.6, 2.5, 2.5], color='#2b2b33', linewidth=0.9)
    sheet.arrow((resize.x, 2.5), resize.top)
    sheet.save(path)


def draw_second_generation(path: Path) -> None:
    """From a picture and a text to a video that keeps the picture."""
    configuration = I2VGEN_XL.configuration()
    networks = build_networks(I2VGEN_XL.networks, configuration)
    clip = networks['ckpt_clip']
    sheet = Sheet(11, 4.4)
    text = sheet.box('text', 0.8, 4.0, 1.0, 0.4, 'data')
    text_tower = sheet.box(f'CLIP ViT-H/14, text\n{billions(clip.text)}', 2.7, 4.0, 1.7, 0.6, 'network')
    picture = sheet.box('picture', 0.8, 2.5, 1.0, 0.6, 'data')
    image_tower = sheet.box(f'CLIP ViT-H/14, image\n{billions(clip.image)}', 2.7, 2.9, 1.7, 0.6, 'network')
    encoder = sheet.box('autoencoder\nencoder', 2.7, 1.7, 1.7, 0.6, 'network')
    noise = sheet.box('noise', 4.9, 0.65, 1.5, 0.4, 'data')
    words = sheet.box('77 tokens', 4.9, 4.0, 1.5, 0.4, 'data')
    whole = sheet.box('4 tokens', 4.9, 2.9, 1.5, 0.4, 'data')
    places = sheet.box('64 tokens', 4.9, 2.05, 1.5, 0.4, 'data')
    channels = sheet.box('4 channels a frame', 4.9, 1.35, 1.7, 0.4, 'data')
    fps = sheet.box(f'fps {configuration.target_fps:g}', 7.1, 4.0, 0.9, 0.4, 'data')
    label = f'spatio-temporal UNet\n{billions(networks["ckpt_unet"])}\nDDIM, 50 steps\nguidance 9.0'
    unet = sheet.box(label, 7.1, 2.2, 1.9, 1.6, 'sampler')
    decoder = sheet.box('autoencoder\ndecoder', 8.9, 2.2, 1.2, 0.7, 'network')
    size = f'{configuration.width}x{configuration.height}'
    video = sheet.box(f'{configuration.max_frames} frames\n{size}', 10.3, 2.2, 1.1, 0.7, 'data')
    pairs = ((text, text_tower), (text_tower, words), (image_tower, whole), (unet, decoder), (decoder, video))
    for start, end in pairs:
        sheet.arrow(start.right, end.left)
    for tower in (image_tower, encoder):
        sheet.arrow(picture.right, tower.left)
    for made in (places, channels):
        sheet.arrow(encoder.right, made.left)
    for made, height in ((words, 2.8), (whole, 2.5), (places, 2.15), (channels, 1.85), (noise, 1.55)):
        sheet.arrow(made.right, (unet.left[0], height))
    sheet.arrow(fps.bottom, unet.top)
    sheet.save(path)


def draw_unet(path: Path) -> None:
    """The UNet of stage 1, level by level, and what a block is made of."""
    parameters = IMAGE_TO_VIDEO.configuration().unet
    widths = [parameters.model_channels * factor for factor in parameters.channel_mult]
    has_attention = [2**level in parameters.attention_resolutions for level in range(len(widths))]
    sheet = Sheet(10, 6.4)
    sheet.text('UNet of stage 1', 1.2, 6.2, 9, weight='bold')
    encoder, decoder = [], []
    for level, (width, attends) in enumerate(zip(widths, has_attention, strict=True)):
        y, grid = 5.0 - 0.95 * level, f'{32 // 2**level} x {56 // 2**level}'
        kind = 'residual + transformers' if attends else 'residual'
        for x, blocks, column in (
            (2.2, parameters.num_res_blocks, encoder),
            (7.8, parameters.num_res_blocks + 1, decoder),
        ):
            column.append(sheet.box(f'{blocks} x ({kind})\n{width} channels, {grid}', x, y, 2.7, 0.6, 'network'))
        sheet.arrow(encoder[-1].right, decoder[-1].left, dashed=True)
    sheet.text('skip connections', 5, 5.12, 7)
    middle = sheet.box(f'residual, transformers, residual\n{widths[-1]} channels', 5, 1.25, 2.9, 0.6, 'network')
    for above, below in pairwise(encoder):
        sheet.arrow(above.bottom, below.top)
    for above, below in pairwise(decoder):
        sheet.arrow(below.top, above.bottom)
    sheet.arrow(encoder[-1].bottom, middle.left, bend=0.3)
    sheet.arrow(middle.right, decoder[-1].bottom, bend=0.3)
    first = sheet.box('latents 4 channels → conv, temporal transformer', 2.2, 5.8, 3.7, 0.35, 'data')
    last = sheet.box('norm, conv → v, 4 channels', 7.8, 5.8, 2.6, 0.35, 'data')
    sheet.arrow(first.bottom, encoder[0].top)
    sheet.arrow(decoder[0].top, last.bottom)
    _draw_block(sheet)
    sheet.save(path)


def _draw_block(sheet: Sheet) -> None:
    parts = (
        ('residual:\n2 spatial convolutions,\n+ time and fps', 1.35),
        ('4 temporal\nconvolutions', 3.6),
        ('spatial transformer:\nself-attention, cross-\nattention to 4 tokens', 5.9),
        ('temporal transformer:\ntwice self-attention\nover the frames', 8.4),
    )
    boxes: list[Box] = [sheet.box(text, x, 0.32, 2.0, 0.62, 'plain') for text, x in parts]
    for one, other in pairwise(boxes):
        sheet.arrow(one.right, other.left)

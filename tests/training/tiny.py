"""Tiny models and tiny videos: a training takes a few seconds from the files to the result."""

from pathlib import Path

import numpy as np

from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.media.writing.write import write_video
from modelscope_i2v.training.configuration import parse_training_configuration
from modelscope_i2v.training.loop.log import read_log
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from tests import small_models

#: Narrower than the small models of other tests, because these are trained.
UNET = {**small_models.UNET, 'model_channels': 32, 'num_heads': 2}
MODEL_CFG = {
    IMAGE_TO_VIDEO: {'latent_hei': 4, 'latent_wid': 4, 'unet': {**UNET, 'image_embed_dim': 64}},
    I2VGEN_XL: {'height': 32, 'width': 32, 'unet': {**UNET, 'image_embed_dim': 64}},
    VIDEO_TO_VIDEO: {'height': 32, 'width': 32, 'unet': UNET},
}
SIZE = 32
NUM_FRAMES = 4


def write_model(stage, folder):
    """A model of ``stage`` with synthetic weights."""
    small_models.write_model(stage, folder, MODEL_CFG[stage])
    return folder


def write_clip(path, hue=0, count=8):
    """A red square that moves to the right."""
    frames = []
    for index in range(count):
        frame = np.full((40, 40, 3), (20, 60 + hue, 160 - hue), np.uint8)
        frame[12:24, 3 * index : 3 * index + 12] = (230, 40, 30)
        frames.append(frame)
    write_video(frames, path, fps=8)
    return path


def write_data(folder, count=2):
    """A folder of ``count`` videos with texts."""
    folder.mkdir()
    for index in range(count):
        write_clip(folder / f'{index}.mp4', 40 * index)
        (folder / f'{index}.txt').write_text('a red square, moving')
    return folder


def content(model, data, output, **changes):
    """The content of a configuration file. Sections in ``changes`` are merged; lora=None is full fine-tuning."""
    sections = {
        'clips': {'num_frames': NUM_FRAMES, 'height': SIZE, 'width': SIZE},
        'loop': {'steps': 4, 'log_every': 1, 'warmup_steps': 1, 'learning_rate': 1e-3},
        'lora': {'rank': 4},
        'validation': {'count': 0},
        'mixture': {'video_to_image': [2, 1]},
    }
    for name, change in changes.items():
        sections[name] = {**sections[name], **change} if isinstance(change, dict) and name in sections else change
    return {'model': str(model), 'data': str(data), 'output': str(output), 'cpu': True, **sections}


def configuration(*paths, **changes):
    """The :class:`TrainingConfiguration` made from :func:`content`."""
    return parse_training_configuration(content(*paths, **changes), 'test.json')


def losses(output):
    """The losses of a training, step by step."""
    return [entry['loss'] for entry in read_log(Path(output) / 'training') if 'loss' in entry]

"""The configurations that we publish describe the full-size models."""

import dataclasses
from pathlib import Path

import pytest

from modelscope_i2v.configuration_file import check_stage, read_configuration
from modelscope_i2v.generation.configuration import (
    IMAGE_TO_VIDEO_STEPS,
    parse_image_to_video,
    parse_model_arguments,
    parse_video_to_video,
)
from modelscope_i2v.plugin.registration import IMAGE_TO_VIDEO, VIDEO_TO_VIDEO

PAGES = Path(__file__).parent.parent / 'model_card'
FOLDERS = {
    PAGES / 'Image-to-Video': (IMAGE_TO_VIDEO, parse_image_to_video),
    PAGES / 'Video-to-Video': (VIDEO_TO_VIDEO, parse_video_to_video),
}


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: folder.name)
def test_published_configurations_are_the_defaults(folder, caplog):
    stage, parse = FOLDERS[folder]
    content = read_configuration(folder)
    check_stage(content, folder, stage)
    assert content['preprocessor']['type'] == stage.preprocessor
    assert content['pipeline']['type'] == stage.pipeline
    assert parse_model_arguments(content['model']['model_args'], folder).seed == 8888
    configuration, default = parse(content['model']['model_cfg'], folder), parse({}, folder)
    assert (configuration.unet, configuration.autoencoder) == (default.unet, default.autoencoder)
    steps = IMAGE_TO_VIDEO_STEPS['ddim'] if stage == IMAGE_TO_VIDEO else None
    assert configuration == dataclasses.replace(default, steps=steps)
    assert caplog.records == []

"""The configurations that we publish describe the full-size models."""

import dataclasses
from pathlib import Path

import pytest

from modelscope_i2v.i2vgen_xl.stage import I2VGEN_XL
from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO

PAGES = Path(__file__).parent.parent / 'model_card'
STAGES = {
    PAGES / 'Image-to-Video': IMAGE_TO_VIDEO,
    PAGES / 'Video-to-Video': VIDEO_TO_VIDEO,
    PAGES / 'I2VGen-XL': I2VGEN_XL,
}


@pytest.mark.parametrize('path', STAGES, ids=lambda path: path.name)
def test_published_configurations_are_the_defaults(path, caplog):
    stage = STAGES[path]
    folder = ModelFolder.read(path, stage)
    assert folder.content['preprocessor']['type'] == stage.preprocessor
    assert folder.content['pipeline']['type'] == stage.pipeline
    assert folder.arguments.seed == 8888
    default = stage.configuration()
    assert (folder.configuration.unet, folder.configuration.autoencoder) == (default.unet, default.autoencoder)
    steps = stage.samplers['ddim'].steps if stage is not VIDEO_TO_VIDEO else None
    assert folder.configuration == dataclasses.replace(default, steps=steps)
    assert caplog.records == []

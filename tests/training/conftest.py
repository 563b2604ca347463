"""Tiny models of both stages, and videos to train them on."""

import pytest

from modelscope_i2v.image_to_video.stage import IMAGE_TO_VIDEO
from modelscope_i2v.video_to_video.stage import VIDEO_TO_VIDEO
from tests.training.tiny import write_data, write_model


@pytest.fixture(scope='package')
def model(tmp_path_factory):
    return write_model(IMAGE_TO_VIDEO, tmp_path_factory.mktemp('tiny') / 'Image-to-Video')


@pytest.fixture(scope='package')
def model_2(tmp_path_factory):
    return write_model(VIDEO_TO_VIDEO, tmp_path_factory.mktemp('tiny') / 'Video-to-Video')


@pytest.fixture(scope='package')
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp('videos') / 'data')

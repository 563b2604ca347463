"""``fit='keep'``: the video has the shape of its picture, in both generations."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.errors import DeviceError, InputError
from modelscope_i2v.generation.arguments import merge_arguments
from modelscope_i2v.generation.chain import chain
from modelscope_i2v.generation.early_checks import check_room
from modelscope_i2v.generation.video_size import InputSize, VideoSize
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.image_to_video.configuration import ImageToVideoConfiguration
from modelscope_i2v.media.reading.info import probe_video, read_recipe
from modelscope_i2v.model_folder import ModelFolder
from modelscope_i2v.runtime.execution import Execution
from tests.calls import build, latents_of
from tests.folders import picture

FULL = ImageToVideoConfiguration()
WIDE = InputSize(16 / 9, lambda most: 1)
KEEP = {'fit': 'keep'}


def arguments_of(*sources):
    return merge_arguments(ImageToVideoArguments, FULL.call_defaults(), *sources)


@pytest.mark.parametrize('name', ['stage_1', 'i2vgen'])
@pytest.mark.parametrize(
    ('size', 'call', 'expected'),
    [
        ((64, 64), {}, (64, 64)),
        ((160, 90), {}, (48, 80)),
        ((90, 160), {}, (80, 48)),
        ((160, 90), {'height': 32}, (32, 64)),
        ((160, 90), {'width': 32}, (16, 32)),
        ((160, 90), {'height': 32, 'width': 32}, (32, 32)),
        ((1, 1), {}, (64, 64)),
    ],
)
def test_the_video_has_the_aspect_of_the_picture(size, call, expected, name, request):
    pipeline = request.getfixturevalue(name)
    factor = pipeline.model.configuration.autoencoder.downsampling_factor
    inputs = pipeline.preprocess(picture(*size), pipeline.resolve_arguments({**KEEP, **call}))
    assert inputs['frame'].shape == (1, 3, *expected)
    made = latents_of(pipeline, picture(*size), steps=1, num_frames=1, seed=1, **KEEP, **call)
    assert made.shape == (1, 4, 1, expected[0] // factor, expected[1] // factor)


def test_the_real_models_sizes_follow_the_picture():
    sizes = {(448, 256), (1920, 1080), (1080, 1920), (1024, 1024), (4000, 3000), (2560, 1080), (1280, 640)}
    assert {size: FULL.size_for(size[0] / size[1]) for size in sizes} == {
        (448, 256): (256, 448),
        (1920, 1080): (256, 448),
        (1080, 1920): (448, 256),
        (1024, 1024): (320, 320),
        (4000, 3000): (320, 448),
        (2560, 1080): (192, 448),
        (1280, 640): (256, 512),
    }


def test_what_is_cropped_and_by_how_much_the_area_differs():
    lost, areas = [], []
    for width in range(400, 4200, 100):
        for height in range(300, 3200, 100):
            tall, wide = FULL.size_for(width / height)
            lost.append(max(wide / tall * height / width, width / height * tall / wide) - 1)
            areas.append(tall * wide / (256 * 448))
    assert np.mean(lost) < 0.04
    assert np.quantile(lost, 0.95) < 0.1
    assert 0.65 < min(areas) < max(areas) <= 1.5


@pytest.mark.parametrize(
    ('sources', 'expected'),
    [
        ([{}], ('crop', 256, 448)),
        ([KEEP], ('keep', None, None)),
        ([KEEP, {}], ('keep', None, None)),
        ([KEEP, {'fit': 'crop'}], ('crop', 256, 448)),
        ([KEEP, {'height': 128}], ('keep', 128, None)),
        ([{**KEEP, 'width': 128}], ('keep', None, 128)),
        ([{'width': 128}, KEEP], ('keep', None, 128)),
        ([{**KEEP, 'height': 128}, KEEP], ('keep', 128, None)),
        ([{'width': 128}, {'fit': 'contain'}], ('contain', 256, 128)),
    ],
)
def test_a_side_that_only_the_model_set_does_not_count_as_given(sources, expected):
    merged = arguments_of(*sources)
    assert (merged.fit, merged.height, merged.width) == expected


def test_other_fits_have_the_configured_size(stage_1):
    for call in ({}, {'fit': 'contain'}, {'height': 32}):
        inputs = stage_1.preprocess(picture(160, 90), stage_1.resolve_arguments(call))
        assert inputs['frame'].shape == (1, 3, call.get('height', 64), 64)
    assert stage_1.preprocessor(picture(160, 90))['frame'].shape == (1, 3, 64, 64)


def test_clip_sees_the_central_square_of_the_first_generation(stage_1):
    wide = picture(160, 90)
    seen = {fit: stage_1.preprocessor(wide, fit)['pixel_values'] for fit in ('crop', 'contain', 'keep')}
    assert torch.equal(seen['keep'], seen['crop'])
    assert not torch.equal(seen['keep'], seen['contain'])


def test_a_square_picture_is_kept_as_it_was_cropped(stage_1):
    square = picture(80, 80)
    assert torch.equal(*(latents_of(stage_1, square, seed=1, fit=fit) for fit in ('crop', 'keep')))


def test_impossible_shapes_are_refused(stage_1):
    with pytest.raises(InputError, match='80000x1.*pixels on a side; at most 16384 .*Give'):
        stage_1(picture(80000, 1), **KEEP)
    with pytest.raises(InputError, match=r"'latents' must have the shape \[1, 4, 3, 6, 10\]"):
        stage_1(picture(160, 90), latents=torch.zeros(1, 4, 3, 8, 8), **KEEP)


def test_memory_is_estimated_for_the_size_of_the_picture(stage_1, stage_1_folder):
    assert FULL.video_size(arguments_of(KEEP), WIDE) == VideoSize(32, 256, 448)
    assert FULL.video_size(arguments_of(KEEP), InputSize(9 / 16, lambda most: 1)) == VideoSize(32, 448, 256)
    assert FULL.video_size(arguments_of({**KEEP, 'height': 128}), WIDE) == VideoSize(32, 128, 256)
    assert FULL.video_size(arguments_of({**KEEP, 'height': 128})) == VideoSize(32, 128, 64)
    assert FULL.video_size(arguments_of(KEEP)) == VideoSize(32, 256, 448)
    assert FULL.video_size(arguments_of(), InputSize(1.0, lambda most: 1)) == VideoSize(32, 256, 448)
    heights = list(FULL.smaller_sizes(arguments_of(KEEP), WIDE))
    assert heights == [{'height': height, 'width': None} for height in (192, 128, 64)]
    widths = list(FULL.smaller_sizes(arguments_of({**KEEP, 'width': 256}), WIDE))
    assert widths == [{'height': None, 'width': width} for width in (192, 128, 64)]
    with pytest.raises(DeviceError, match='3 frames of 16384 x 16384 pixels would take'):
        stage_1(picture(64, 64), height=16384, **KEEP)
    # Before the picture and the whole call are known, the least counts.
    check_room(ModelFolder.of(stage_1_folder, stage_1.stage), KEEP, Execution.resolve('cpu'))


def test_the_file_says_how_it_was_made(stage_1, stage_1_folder, tmp_path):
    made = stage_1(picture(160, 90), seed=3, output_video=tmp_path / 'wide.mp4', **KEEP)
    info, (entry,) = probe_video(made['output_video']), read_recipe(made['output_video'])
    assert (info.height, info.width) == (48, 80)
    assert (entry['fit'], entry['height'], entry['width']) == ('keep', 48, 80)
    again = {item.name: entry[item.name] for item in dataclasses.fields(ImageToVideoArguments) if item.name in entry}
    expected = stage_1(picture(160, 90), seed=3, output_type='np', **KEEP)['output_video']
    repeated = build(stage_1_folder)(picture(160, 90), output_type='np', **again)['output_video']
    assert np.array_equal(repeated, expected)


def test_a_chain_keeps_the_shape(stage_1, stage_2):
    result = chain(
        picture(160, 90), stage1=stage_1, stage2=stage_2, seed=1, stage1_fit='keep', steps=1, output_type='np'
    )
    assert result['stage1']['output_video'].shape == (3, 48, 80, 3)
    height, width = result['output_video'].shape[1:3]
    assert width / height == pytest.approx(5 / 3, rel=0.02)


def test_a_call_that_fits_is_not_refused_for_a_picture_that_is_not_known_yet(stage_1, monkeypatch):
    asked = []
    monkeypatch.setattr(type(stage_1), 'check_memory', lambda self, arguments, given=None: asked.append(given))
    stage_1(picture(160, 90), steps=1, output_type='latent', **KEEP)
    assert asked[0] is not None
    asked.clear()
    stage_1(picture(160, 90), steps=1, output_type='latent')
    assert asked[0] is None


def test_a_frame_fills_its_size(stage_1):
    """The original of the second generation leaves a black line at an edge for many sizes; nothing asks for it here."""
    for width, height in ((400, 300), (128, 72), (85, 57), (20, 30)):
        white = Image.new('RGB', (width, height), 'white')
        for fit in ('crop', 'keep'):
            assert bool((stage_1.preprocessor(white, fit)['frame'] == 1).all())


def test_a_frame_and_arguments_of_different_sizes_are_refused(stage_1):
    inputs = stage_1.preprocessor(picture(64, 64))
    arguments = ImageToVideoArguments(height=32, width=48, num_frames=1, steps=1)
    with pytest.raises(InputError, match="'frame' has 64x64 pixels, but the arguments ask for 48x32"):
        stage_1.model(**inputs, arguments=arguments)
    with pytest.raises(InputError, match="'height' must be a multiple of 16, found 40"):
        stage_1.model(
            inputs['pixel_values'],
            ImageToVideoArguments(**{**KEEP, 'height': None, 'width': None}, num_frames=1),
            frame=torch.zeros(1, 3, 40, 64),
        )

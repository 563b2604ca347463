"""What a call of the stage-1 pipeline returns: every type of output, lists, recipes."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.errors import InputError, OutputError
from modelscope_i2v.image_to_video.arguments import ImageToVideoArguments
from modelscope_i2v.media.reading.info import read_recipe
from tests.calls import VIDEO, build, latents_of
from tests.folders import IMAGE, variant

OTHER_IMAGE = IMAGE.with_name('odd_641x479.png')


@pytest.fixture(scope='module')
def outputs(stage_1):
    return {kind: stage_1(str(IMAGE), seed=2, output_type=kind)[VIDEO] for kind in ('np', 'pt', 'pil', 'latent', 'mp4')}


def decode(video):
    with av.open(io.BytesIO(video) if isinstance(video, bytes) else str(video)) as container:
        frames = [frame.to_ndarray(format='rgb24') for frame in container.decode(video=0)]
        return np.stack(frames), container.streams.video[0].average_rate


# Types of output


def test_shapes_types_and_ranges(outputs):
    assert outputs['np'].shape == (3, 64, 64, 3)
    assert outputs['np'].dtype == np.uint8
    assert outputs['pt'].shape == (3, 3, 64, 64)
    assert outputs['pt'].dtype == torch.float32
    assert 0 <= outputs['pt'].min() < outputs['pt'].max() <= 1
    assert outputs['latent'].shape == (1, 4, 3, 8, 8)
    assert outputs['latent'].dtype == torch.float32
    assert [(frame.mode, frame.size) for frame in outputs['pil']] == [('RGB', (64, 64))] * 3
    assert isinstance(outputs['mp4'], bytes)


def test_all_types_are_one_video(stage_1, outputs):
    truncated = (outputs['pt'] * 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(outputs['np'], truncated)
    assert np.array_equal(outputs['np'], np.stack([np.asarray(frame) for frame in outputs['pil']]))
    autoencoder, configuration = stage_1.model.autoencoder, stage_1.model.configuration.autoencoder
    frames = outputs['latent'][0].transpose(0, 1) / configuration.scale_factor
    with torch.no_grad():
        by_hand = torch.cat([autoencoder.decode(frame[None]) for frame in frames])
    torch.testing.assert_close(outputs['pt'], (by_hand / 2 + 0.5).clamp(0, 1), atol=1e-5, rtol=0)


def test_mp4_holds_the_frames(outputs):
    frames, rate = decode(outputs['mp4'])
    assert rate == 8
    assert frames.shape == outputs['np'].shape
    # Half the resolution of colour is lost in 4:2:0, brightness is not.
    assert abs(frames.mean(axis=-1) - outputs['np'].mean(axis=-1)).mean() < 8


def test_mp4_file_is_the_bytes(stage_1, outputs, tmp_path):
    for path in (tmp_path / 'new folder' / 'a.mp4', str(tmp_path / 'b.mp4')):
        result = stage_1(str(IMAGE), seed=2, output_video=path)
        assert result[VIDEO] == str(path)
        assert Path(path).read_bytes() == outputs['mp4']
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a.mp4', 'b.mp4', 'new folder']


def test_frame_rate_of_the_file(stage_1):
    assert decode(stage_1(str(IMAGE), fps=4)[VIDEO])[1] == 4
    assert decode(stage_1(str(IMAGE), output_fps=12)[VIDEO])[1] == 12


def test_unwritable_output_is_reported_before_sampling(stage_1, tmp_path):
    def fail(*_):
        raise AssertionError('sampled although the video cannot be written')

    with pytest.raises(OutputError):
        stage_1(str(IMAGE), output_video=tmp_path, callback_on_step_end=fail)


def test_fit_shows_another_picture(stage_1):
    plain, crop, contain = (latents_of(stage_1, seed=1, fit=fit) for fit in (None, 'crop', 'contain'))
    assert torch.equal(plain, crop)
    assert not torch.equal(crop, contain)


# Inputs


def test_every_kind_of_picture_gives_the_same_video(stage_1):
    picture = Image.open(IMAGE).convert('RGB')
    rgb = np.asarray(picture)
    inputs = [
        str(IMAGE),
        {'image': str(IMAGE)},
        {'image': IMAGE},
        {'image': IMAGE, 'text': ''},
        IMAGE.read_bytes(),
        picture,
        np.ascontiguousarray(rgb[..., ::-1]),  # BGR, as in ModelScope
        torch.from_numpy(rgb.copy()).permute(2, 0, 1).float() / 255,
    ]
    videos = [stage_1(source, seed=1, num_frames=1, output_type='latent')[VIDEO] for source in inputs]
    assert all(torch.equal(video, videos[0]) for video in videos)


@pytest.mark.parametrize('source', [{'img': 'a.png'}, {}, None, 3, 'no such file.png', b'', (str(IMAGE),)])
def test_bad_input(stage_1, source):
    with pytest.raises(InputError):
        stage_1(source)


def test_list_of_inputs(stage_1, tmp_path):
    common = {'num_frames': 1, 'output_type': 'latent'}
    first = stage_1(str(IMAGE), seed=5, **common)[VIDEO]
    second = stage_1(str(OTHER_IMAGE), seed=6, **common)[VIDEO]
    images = [str(IMAGE), {'image': str(OTHER_IMAGE)}]
    for seed in (5, [5, 6], (5, 6)):
        results = stage_1(images, seed=seed, batch_size=2, **common)
        assert [result['seed'] for result in results] == [5, 6]
        assert torch.equal(results[0][VIDEO], first)
        assert torch.equal(results[1][VIDEO], second)
    results = stage_1(images, **common)
    assert results[0]['seed'] != results[1]['seed']
    assert stage_1([], **common) == []
    paths = [tmp_path / 'a.mp4', None]
    results = stage_1(images, num_frames=1, output_video=paths)
    assert results[0][VIDEO] == str(paths[0])
    assert isinstance(results[1][VIDEO], bytes)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'seed': [1]}, "'seed' has 1 values for 2 inputs"),
        ({'seed': [1, 'x']}, "'seed' must be a whole number"),
        ({'seed': 'xy'}, "'seed' must be a whole number"),
        ({'seed': 2**63 - 1}, "'seed' must be a whole number"),
        ({'output_video': 'a.mp4'}, "For 2 inputs 'output_video' must be a list of 2 paths"),
        ({'output_video': ['a.mp4']}, "For 2 inputs 'output_video' must be a list of 2 paths"),
    ],
)
def test_lists_that_do_not_match(stage_1, arguments, message):
    with pytest.raises(InputError, match=message):
        stage_1([str(IMAGE), str(IMAGE)], num_frames=1, **arguments)


def test_one_configured_path_is_not_enough_for_a_list(stage_1_folder, tmp_path):
    made = build(stage_1_folder, steps=1, num_frames=1, output_video=str(tmp_path / 'a.mp4'))
    assert made(str(IMAGE))[VIDEO] == str(tmp_path / 'a.mp4')
    with pytest.raises(InputError, match="For 2 inputs 'output_video' must be a list"):
        made([str(IMAGE), str(IMAGE)])


# What is known about a video


@pytest.mark.parametrize(
    ('place', 'model', 'revision'),
    [
        ('hub/us--Image-to-Video/snapshots/v1.1.0', 'us/Image-to-Video', 'v1.1.0'),
        ('hub/us--a--b/snapshots/master', 'us/a--b', 'master'),
        ('us/Image-to-Video', 'Image-to-Video', None),
    ],
)
def test_revision_in_result_and_recipe(stage_1_folder, tmp_path, place, model, revision):
    made = build(variant(stage_1_folder, tmp_path / place), steps=1, num_frames=1)
    result = made(str(IMAGE), output_video=tmp_path / 'video.mp4')
    assert result['model_revision'] == revision
    (entry,) = read_recipe(tmp_path / 'video.mp4')
    assert (entry['model'], entry['revision'], entry['seed']) == (model, revision, result['seed'])


def test_recipe_in_the_file_is_the_pipelines(stage_1, tmp_path):
    given = {'seed': 9, 'solver': 'unipc', 'guidance_scale': 2.5, 'fps': 6, 'height': 32, 'noise_strength': 0.2}
    stage_1(str(IMAGE), output_video=tmp_path / 'video.mp4', **given)
    (entry,) = read_recipe(tmp_path / 'video.mp4')
    arguments = ImageToVideoArguments(**given, steps=2, num_frames=3, width=64)
    assert entry == {'version': 1, **stage_1.recipe(arguments)}
    expected = {**given, 'stage': 'image-to-video', 'steps': 2, 'num_frames': 3, 'timestep_spacing': 'trailing'}
    assert expected.items() <= entry.items()
    assert entry['output_fps'] == 6
    assert entry['latents_given'] is False
    assert not {'output_video', 'output_type', 'latents', 'callback_on_step_end', 'show_progress', 'force'} & set(entry)


def test_a_recipe_makes_its_video_again(stage_1, tmp_path):
    first = stage_1(str(IMAGE), eta=0.5, guidance_rescale=0.3, output_video=tmp_path / 'video.mp4')
    (entry,) = read_recipe(tmp_path / 'video.mp4')
    known = ImageToVideoArguments.__dataclass_fields__
    again = stage_1(str(IMAGE), **{key: value for key, value in entry.items() if key in known})
    assert again[VIDEO] == Path(first[VIDEO]).read_bytes()

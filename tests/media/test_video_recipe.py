"""The recipe in the comment tag."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.info import read_recipe
from modelscope_i2v.media.recipe import RECIPE_VERSION, dump_recipe
from modelscope_i2v.media.writing.write import write_video

ENTRIES = [
    {'stage': 'image-to-video', 'seed': 2**63 - 1, 'guidance_scale': 3.0, 'model': 'C:\\ü\n"雪"\0', 'none': None},
    {'stage': 'video-to-video', 'nested': {'list': [1, True, 'x']}},
]


@pytest.mark.parametrize('name', ['a.mp4', 'a.mov', 'a.gif'])
@pytest.mark.parametrize('padding', [0, 200_000])
def test_roundtrip(tmp_path, frames, name, padding):
    entries = [*ENTRIES, {'long': 'é' * padding}]
    path = write_video(frames[:3], tmp_path / name, fps=8, recipe=entries)
    assert read_recipe(path) == [{**entry, 'version': RECIPE_VERSION} for entry in entries]


def test_a_version_that_is_there_stays(tmp_path, frames):
    newer = [{'version': 99, 'something': ['new']}]
    path = write_video(frames[:2], tmp_path / 'a.mp4', fps=8, recipe=newer)
    assert read_recipe(path) == newer


def test_numbers_of_numpy_and_torch_and_paths_become_plain():
    entry = {
        'a': np.float32(0.5),
        'b': np.int64(3),
        'c': np.bool_(True),
        'd': np.arange(2),
        'e': torch.tensor(7),
        'f': torch.tensor([0.5, 1.0], dtype=torch.bfloat16),
        'g': Path('x') / 'y',
        'h': (np.float64(1.5),),
    }
    text = dump_recipe([entry])
    assert text.isascii()
    plain = {'a': 0.5, 'b': 3, 'c': True, 'd': [0, 1], 'e': 7, 'f': [0.5, 1.0], 'g': 'x/y', 'h': [1.5]}
    assert json.loads(text) == [{'version': 1, **plain}]
    assert dump_recipe([]) == '[]'
    assert 'version' not in entry


@pytest.mark.parametrize('value', [float('nan'), float('inf'), np.float32('nan'), torch.tensor(float('nan')), 1j, {1}])
def test_values_that_json_has_no_word_for(tmp_path, frames, value):
    with pytest.raises(InputError, match='cannot be written as JSON'):
        dump_recipe([{'x': {'y': [value]}}])
    with pytest.raises(InputError, match='cannot be written as JSON'):
        write_video(frames, tmp_path / 'a.mp4', fps=8, recipe=[{'x': value}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('entries', [{'stage': 1}, 'text', [1], [None], ['x']])
def test_a_recipe_is_a_list_of_dicts(entries):
    with pytest.raises(InputError, match='list of dicts'):
        dump_recipe(entries)


def commented(path, comment):
    with av.open(str(path), 'w') as container:
        if comment is not None:
            container.metadata['comment'] = comment
        stream = container.add_stream('mpeg4', rate=8)
        stream.width = stream.height = 16
        stream.pix_fmt = 'yuv420p'
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format='rgb24')))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    'comment',
    [None, '', 'made with love', '5', '{"version": 1}', '[1]', '[{"a": 1}]', '"x"', '[' * 100_000, '[{"version": 1'],
)
def test_comments_of_others_are_no_recipe(tmp_path, comment):
    commented(tmp_path / 'a.mp4', comment)
    assert read_recipe(tmp_path / 'a.mp4') == []


def test_comments_in_another_encoding_are_no_recipe(tmp_path):
    commented(tmp_path / 'a.mp4', 'XXXX')
    data = (tmp_path / 'a.mp4').read_bytes()
    assert data.count(b'XXXX') == 1
    (tmp_path / 'a.mp4').write_bytes(data.replace(b'XXXX', b'\xfc\xff\xfe\xe9'))
    assert read_recipe(tmp_path / 'a.mp4') == []


def test_files_that_are_no_videos(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    (tmp_path / 'a.txt').write_text('[{"version": 1}]')
    for path, told in [(tmp_path / 'none.mp4', 'does not exist'), (tmp_path / 'a.png', 'not a video')]:
        with pytest.raises(InputError, match=told):
            read_recipe(path)
    with pytest.raises(InputError, match='video'):
        read_recipe(tmp_path / 'a.txt')

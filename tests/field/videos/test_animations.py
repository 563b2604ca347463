"""Animated pictures that are damaged, or not animated after all."""

import io

import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media import open_video
from modelscope_i2v.media.reading.info import probe_video, read_recipe


def animation(kind, count=5):
    pictures = [Image.effect_noise((64, 48), 20 + index).convert('RGB') for index in range(count)]
    file = io.BytesIO()
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:], duration=100)
    return file.getvalue()


@pytest.mark.parametrize('kind', ['webp', 'avif'])
@pytest.mark.parametrize('share', [0.3, 0.6, 0.9])
def test_cut_off(tmp_path, kind, share):
    data = animation(kind)
    path = tmp_path / f'a.{kind}'
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match='damaged or cut off'):
        list(open_video(path).frames())


def test_a_still_webp_is_no_video(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'a.webp')
    with pytest.raises(InputError, match='is not a video'):
        open_video(tmp_path / 'a.webp')


@pytest.mark.parametrize('kind', ['webp', 'avif'])
def test_facts(tmp_path, kind):
    path = tmp_path / f'a.{kind}'
    path.write_bytes(animation(kind))
    info = probe_video(path)
    assert (info.width, info.height, info.frames, info.codec, info.has_audio) == (64, 48, 5, kind, False)
    assert (info.fps, info.duration) == pytest.approx((10, 0.5))
    assert read_recipe(path) == []

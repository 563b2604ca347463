"""Transparent videos are shown over a background."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media import open_video
from tests.field.documented import documented

HIDDEN, SHOWN = (0, 90, 200), (230, 40, 60)


def picture():
    """A square in a transparent frame that hides a colour of its own. One column is half transparent."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = HIDDEN
    pixels[16:48, 16:48] = (*SHOWN, 255)
    pixels[16:48, 32:40, 3] = 128
    return pixels


def written(path):
    if path.suffix in ('.gif', '.png', '.webp'):
        pictures = [Image.fromarray(picture()) for _ in range(3)]
        for index, each in enumerate(pictures):
            each.putpixel((20 + index, 20), (255, 255, 255, 255))  # or they would become one frame
        # Each frame starts from nothing.
        options = {'.webp': {'lossless': True, 'exact': True}, '.gif': {'disposal': 2}, '.png': {'disposal': 1}}
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, **options[path.suffix])
        return path
    codec = {'.webm': 'libvpx-vp9', '.mov': 'prores_ks', '.avi': 'rawvideo', '.mkv': 'ffv1'}[path.suffix]
    pixels = {'.webm': 'yuva420p', '.mov': 'yuva444p10le', '.avi': 'bgra', '.mkv': 'bgra'}[path.suffix]
    with av.open(str(path), 'w') as container:
        options = {'crf': '4', 'b': '0'} if codec == 'libvpx-vp9' else {}
        stream = container.add_stream(codec, rate=10, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        if codec == 'libvpx-vp9':
            stream.metadata['alpha_mode'] = '1'
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(picture(), format='rgba').reformat(format=pixels)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@documented('Transparent WebM, MOV, GIF, APNG, WebP', 'shown over `background`, white unless you choose another colour')
@pytest.mark.parametrize('name', ['a.webm', 'a.mov', 'a.mkv', 'a.avi', 'a.gif', 'a.png', 'a.webp'])
@pytest.mark.parametrize(('background', 'behind'), [('white', (255, 255, 255)), ('#00ff00', (0, 255, 0))])
def test_what_is_transparent_shows_the_background(tmp_path, name, background, behind):
    for frame in open_video(written(tmp_path / name), background=background).frames():
        np.testing.assert_allclose(frame.pixels[4, 4].astype(int), behind, atol=3)
        np.testing.assert_allclose(frame.pixels[40, 24].astype(int), SHOWN, atol=12)
        if name != 'a.gif':  # GIF knows no half
            half = (np.array(SHOWN) * 128 + np.array(behind) * 127) / 255
            np.testing.assert_allclose(frame.pixels[40, 36].astype(int), half, atol=12)


def test_white_is_the_default(tmp_path):
    path = written(tmp_path / 'a.webm')
    for one, other in zip(open_video(path).frames(), open_video(path, background='white').frames(), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize('name', ['a.mkv', 'a.avi', 'a.png'])
def test_without_a_background_hidden_colours_appear(tmp_path, name):
    frame = next(open_video(written(tmp_path / name), background=None).frames())
    assert frame.pixels[4, 4].tolist() == list(HIDDEN)


def test_an_empty_fourth_byte_is_not_transparency(tmp_path):
    """Screen recorders write 32 bits a pixel and use 24."""
    with av.open(str(tmp_path / 'a.avi'), 'w') as container:
        stream = container.add_stream('rawvideo', rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = 'bgra'
        pixels = np.dstack([picture()[..., :3], np.zeros((64, 64), np.uint8)])
        frame = av.VideoFrame.from_ndarray(pixels, format='rgba').reformat(format='bgra')
        container.mux(stream.encode(frame))
    frame = next(open_video(tmp_path / 'a.avi').frames())
    np.testing.assert_array_equal(frame.pixels, picture()[..., :3])


def test_opaque_webm_is_decoded_as_before(tmp_path):
    """Only files that are marked as transparent get the other decoder."""
    from modelscope_i2v.media.reading.containers import open_container
    from modelscope_i2v.media.reading.decoding import decoder_of
    from tests.media.clips import gradient, record

    path = record(tmp_path / 'a.webm', gradient(3), 'libvpx-vp9')
    with open_container(path) as (_, stream):
        assert decoder_of(stream) is None


def test_a_bad_background(tmp_path):
    with pytest.raises(InputError, match="'background' must be a colour name .* found 'whitish'"):
        open_video(written(tmp_path / 'a.gif'), background='whitish')

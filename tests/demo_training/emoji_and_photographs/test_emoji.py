import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from demo_training.emoji_and_photographs.emoji import MAX_FRAMES, SIDE, decode_clip, decoded_emoji


def webp(count, milliseconds=42, side=256):
    """An animation whose frame ``n`` has the grey value ``2 n`` in a square on transparent ground."""
    frames = []
    for number in range(count):
        frame = np.zeros((side, side, 4), np.uint8)
        frame[64:192, 64:192] = (2 * number, 2 * number, 2 * number, 255)
        frames.append(Image.fromarray(frame))
    file = io.BytesIO()
    frames[0].save(file, 'WEBP', save_all=True, append_images=frames[1:], duration=milliseconds, lossless=True)
    return file.getvalue()


def test_frames_are_taken_eight_times_a_second():
    clip = decode_clip(webp(72))
    # 72 frames of 42 milliseconds are three seconds; at n / 8 s frame n 125 / 42 is seen.
    assert clip.shape == (24, SIDE, SIDE, 4)
    assert clip[:, 64, 64, 0].tolist() == [2 * (n * 125 // 42) for n in range(24)]
    assert (clip[:, 0, 0] == 0).all()
    assert (clip[:, 64, 64, 3] == 255).all()


def test_long_animations_are_cut_and_short_ones_left_out():
    assert len(decode_clip(webp(72, milliseconds=100))) == MAX_FRAMES
    assert decode_clip(webp(23)) is None


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / 'package.tgz'
    contents = {'1f431': webp(24), '1f435': webp(30), '1f44b-1f3fb': webp(24), '1f446': webp(3), '1f46a': webp(24)}
    with tarfile.open(path, 'w:gz') as package:
        for name, content in contents.items():
            member = tarfile.TarInfo(f'package/assets/{name}.webp')
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    return path


def test_packages_are_decoded_once_without_variants_and_unlisted_emoji(archive, tmp_path):
    emoji = decoded_emoji(lambda: [archive], tmp_path, frozenset({'1f46a'}))
    assert emoji.names == ('1f431', '1f435')
    assert [emoji.length(index) for index in range(2)] == [8, 10]
    loop = emoji.clip(0, 6, 4)[:, 64, 64, 0]
    assert loop.tolist() == emoji.clip(0)[[6, 7, 0, 1], 64, 64, 0].tolist()

    def fetch():
        raise AssertionError('fetched again')

    again = decoded_emoji(fetch, tmp_path)
    assert np.array_equal(again.frames, emoji.frames)

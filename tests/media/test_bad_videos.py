"""Sources that cannot be read as a video, and their error messages."""

import logging
import os
import wave

import av
import numpy as np
import pytest
import torch
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.open import open_video
from tests.media.clips import gradient, record


def noisy(count):
    """Frames that do not compress, so damage in the middle of the file hits a frame in the middle."""
    return list(np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8))


def read_all(source):
    return sum(1 for _ in open_video(source).frames())


def sound_only(path):
    with wave.open(str(path), 'wb') as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))


@pytest.fixture
def bad_files(tmp_path):
    good = record(tmp_path / 'good.mp4', gradient(10)).read_bytes()
    avi = record(tmp_path / 'good.avi', gradient(3), 'mpeg4').read_bytes()
    with av.open(str(tmp_path / 'headless.mkv'), 'w') as container:
        stream = container.add_stream('ffv1', rate=25)
        stream.width, stream.height = 64, 48
        container.start_encoding()
    for kind in ('png', 'jpg', 'webp', 'avif', 'bmp', 'tiff'):
        Image.new('RGB', (64, 48)).save(tmp_path / f'image.{kind}')
    sound_only(tmp_path / 'sound.wav')
    os.mkfifo(tmp_path / 'pipe.mp4')
    contents = {
        'empty.mp4': b'',
        'text.mp4': b'this is not a video\n' * 20,
        'no index.mp4': good[: len(good) // 2],
        'noise.mp4': np.random.default_rng(0).bytes(5000),
        'unknown codec.avi': avi.replace(b'FMP4', b'ZZZZ'),
        'list.m3u8': b'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n',
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize(
    ('name', 'told'),
    [
        ('none.mp4', 'does not exist'),
        ('', 'is a folder'),
        ('pipe.mp4', 'not a regular file'),
        ('good.mp4/below.mp4', 'cannot be read'),
        ('nul\0byte.mp4', 'cannot be read'),
        ('empty.mp4', 'zero bytes'),
        ('text.mp4', 'video'),
        ('no index.mp4', 'cannot be read as a video'),
        ('noise.mp4', 'cannot be read as a video'),
        ('unknown codec.avi', 'cannot be decoded here'),
        ('headless.mkv', 'no frames|cannot be read'),
        ('list.m3u8', 'video'),
        ('sound.wav', 'no video stream'),
        *((f'image.{kind}', 'not a video .* image-to-video') for kind in ('png', 'jpg', 'webp', 'avif', 'bmp', 'tiff')),
    ],
)
def test_bad_files(bad_files, name, told):
    path = bad_files / name
    with pytest.raises(InputError, match=told) as caught:
        open_video(path)
    assert name.split('\0')[0] in str(caught.value)
    if path.is_file():
        with pytest.raises(InputError, match=told) as caught:
            open_video(path.read_bytes())
        assert 'given as bytes' in str(caught.value)


def test_bytes_cannot_name_files(tmp_path, monkeypatch):
    """Data from the network must not make us read a file on this machine."""
    monkeypatch.chdir(tmp_path)
    record(tmp_path / 'private.ts', gradient(3))
    with pytest.raises(InputError):
        open_video(b'ffconcat version 1.0\nfile private.ts\n')


@pytest.mark.parametrize('name', ['a.mp4', 'a.avi', 'a.mkv'])
@pytest.mark.parametrize('share', [0.4, 0.7])
def test_files_that_break_off(tmp_path, name, share):
    options = {'movflags': '+faststart'} if name == 'a.mp4' else {}
    path = record(tmp_path / name, noisy(100), 'mpeg4', container_options=options, bit_rate=4_000_000)
    assert read_all(path) == 100
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    frames = open_video(path).frames()
    read = 0
    with pytest.raises(InputError, match='damaged or cut off') as caught:
        for _ in frames:
            read += 1
    assert 100 * share - 15 < read < 100 * share + 15
    assert f'frame {read} cannot be read' in str(caught.value)


@pytest.mark.parametrize('codec', ['libx264', 'mjpeg'])
def test_damage_in_the_middle_is_told_with_the_frame(tmp_path, codec):
    path = record(tmp_path / 'a.mp4', noisy(40), codec, pixels='yuvj420p' if codec == 'mjpeg' else 'yuv420p')
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + len(data) // 8] = bytes(len(data) // 8)
    path.write_bytes(data)
    read = 0
    with pytest.raises(InputError, match='damaged or cut off') as caught:
        for _ in open_video(path).frames():
            read += 1
    assert 10 < read < 25
    assert f'frame {read} cannot be read' in str(caught.value)


def test_frames_that_the_decoder_mends_are_taken_with_a_warning(tmp_path, caplog):
    path = record(tmp_path / 'a.avi', noisy(20), 'mpeg4')
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][10]
        middle = packet.pos + packet.size // 2
    data = bytearray(path.read_bytes())
    data[middle : middle + 20] = bytes(20)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING, logger='modelscope_i2v'):
        assert read_all(path) == 20
    assert len([record for record in caplog.records if 'was repaired' in record.getMessage()]) == 1


def test_recordings_that_begin_in_the_middle(tmp_path):
    path = record(tmp_path / 'a.ts', gradient(60), gop_size=20)
    data = path.read_bytes()
    assert len(data) % 188 == 0
    path.write_bytes(data[len(data) // 188 // 4 * 188 :])
    assert 20 <= read_all(path) < 60


def test_frames_of_changing_size(tmp_path):
    small, large = (record(tmp_path / f'{width}.ts', gradient(5, 48, width)).read_bytes() for width in (64, 96))
    path = tmp_path / 'a.ts'
    path.write_bytes(small + large)
    with pytest.raises(InputError, match=r'frames of different sizes: frame 5 has 96 x 48 pixels.* 64 x 48'):
        read_all(path)


IMAGE = Image.new('RGB', (8, 6))
ARRAY = np.zeros((2, 6, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ('source', 'told'),
    [
        ([], 'is empty'),
        ((), 'is empty'),
        ([IMAGE, Image.new('RGB', (6, 8))], 'frame 1 has 6 x 8 pixels.* 8 x 6'),
        ([IMAGE, ARRAY[0]], 'ndarray at position 1'),
        (['a.mp4', 'b.mp4'], 'str at position 0'),
        ([Image.new('RGB', (0, 5))], 'at least one pixel'),
        (ARRAY.astype(np.float32), 'found float32'),
        (ARRAY.astype(bool), 'found bool'),
        (ARRAY[0], r'\[6, 8, 3\]'),
        (ARRAY.transpose(0, 3, 1, 2), r'\[2, 3, 6, 8\]'),
        (ARRAY[..., :1], r'\[2, 6, 8, 1\]'),
        (ARRAY[:0], r'\[0, 6, 8, 3\]'),
        (ARRAY[:, :0], r'\[2, 0, 8, 3\]'),
        (torch.zeros(2, 6, 8, 3), 'tensor must be uint8.* found float32'),
        (torch.zeros(2, 3, 6, 8, dtype=torch.uint8), r'\[2, 3, 6, 8\]'),
        (b'', 'zero bytes'),
        ('', 'is empty'),
        ('data:video/mp4;base64,###', 'valid base64'),
        ('data:video/mp4;base64,AAAA', 'cannot be read as a video'),
        ('A' * 400, 'as base64 cannot be read as a video'),
        ('abcd', 'does not exist'),
        ('s3://bucket/video.mp4', 'unknown scheme'),
        ('file://host/video.mp4', "host 'host'"),
        ('http://127.0.0.1:1/a.mp4', 'Cannot download'),
        (None, 'NoneType. Give a path'),
        (5, 'int. Give a path'),
        ({'video_path': 'a.mp4'}, 'dict. Give a path'),
        (IMAGE, 'Image. Give a path'),
    ],
)
def test_unusable_sources(source, told):
    with pytest.raises(InputError, match=told) as caught:
        open_video(source)
    assert len(str(caught.value)) < 600

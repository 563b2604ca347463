"""Inspecting video files that several programs made."""

import dataclasses
import os
import wave
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.info import VideoInfo, probe_video
from modelscope_i2v.media.writing.write import write_video


def record(path, codec, frames, with_sound=False, **options):
    """Write a video as another program would: any container and codec, 12.5 frames per second."""
    with av.open(str(path), 'w', **options) as container:
        stream = container.add_stream(codec, rate=Fraction(25, 2))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        sound = container.add_stream('aac', rate=8000, layout='mono') if with_sound else None
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(stream.encode(None))
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format='fltp', layout='mono')
            silence.sample_rate = 8000
            container.mux(sound.encode(silence))
            container.mux(sound.encode(None))


def test_all_facts(tmp_path, frames):
    path = tmp_path / 'a.mp4'
    write_video(frames, path, fps=8)
    info = probe_video(path)
    assert info == VideoInfo(str(path), 64, 48, 10, 8.0, 1.25, 'h264', 'yuv420p', False)
    assert probe_video(str(path)) == info
    with pytest.raises(dataclasses.FrozenInstanceError):
        info.fps = 9


@pytest.mark.parametrize(
    ('name', 'codec', 'options'),
    [
        ('a.avi', 'mpeg4', {}),
        ('a.mkv', 'libx264', {}),
        ('a.webm', 'libvpx', {}),
        ('a.ts', 'libx264', {}),
        ('a.mp4', 'libx264', {'options': {'movflags': 'frag_keyframe+empty_moov'}}),
    ],
)
def test_frames_are_counted_when_the_header_does_not_say(tmp_path, frames, name, codec, options):
    record(tmp_path / name, codec, frames, **options)
    info = probe_video(tmp_path / name)
    assert (info.width, info.height, info.frames) == (64, 48, 10)
    assert info.fps == pytest.approx(12.5, rel=0.01)
    assert info.duration == pytest.approx(0.8, abs=0.09)


def test_sound_is_noticed(tmp_path, frames):
    record(tmp_path / 'a.mp4', 'libx264', frames, with_sound=True)
    assert probe_video(tmp_path / 'a.mp4').has_audio


def test_a_pattern_in_the_name_is_just_a_name(tmp_path, frames):
    for number in range(3):
        write_video(frames[:2], tmp_path / f'a{number}.gif', fps=8)
    path = write_video(frames[:5], tmp_path / 'a%d.gif', fps=8)
    assert probe_video(path).frames == 5


def silent_sound(path):
    with wave.open(str(path), 'wb') as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))


@pytest.fixture
def bad_files(tmp_path, frames):
    write_video(frames, tmp_path / 'good.mp4', fps=8)
    good = (tmp_path / 'good.mp4').read_bytes()
    Image.new('RGB', (8, 8)).save(tmp_path / 'image.png')
    silent_sound(tmp_path / 'sound.wav')
    os.mkfifo(tmp_path / 'pipe.mp4')
    contents = {
        'empty.mp4': b'',
        'text.mp4': b'this is not a video\n' * 20,
        'text.txt': b'this is not a video\n' * 20,
        'cut.mp4': good[:500],
        'noise.mp4': np.random.default_rng(0).bytes(5000),
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
        ('text.txt', 'video'),
        ('cut.mp4', 'cannot be read'),
        ('noise.mp4', 'cannot be read'),
        ('list.m3u8', 'video'),
        ('image.png', 'not a video'),
        ('sound.wav', 'no video stream'),
    ],
)
def test_bad_files(bad_files, name, told):
    with pytest.raises(InputError, match=told) as caught:
        probe_video(bad_files / name)
    assert name.split('\0')[0] in str(caught.value)


@pytest.mark.parametrize('path', [None, 5, [1]])
def test_a_path_is_a_path(path):
    with pytest.raises(InputError, match='given as a path'):
        probe_video(path)

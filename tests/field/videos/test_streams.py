"""Files with several videos or several sounds."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from modelscope_i2v.errors import InputError
from modelscope_i2v.media import open_video, write_video
from tests.field.documented import documented
from tests.media.clips import beeps, gradient, record, sound_packets


def with_videos(path, sizes, counts, dispositions):
    """One video stream for each of ``sizes`` (width, height), with as many frames as ``counts`` says."""
    options = {'default_mode': 'passthrough'} if path.suffix == '.mkv' else {}
    with av.open(str(path), 'w', options=options) as container:
        streams = []
        for (width, height), disposition in zip(sizes, dispositions, strict=True):
            stream = container.add_stream('mpeg4', rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
            stream.disposition = disposition
            streams.append(stream)
        for stream, count in zip(streams, counts, strict=True):
            for index, picture in enumerate(gradient(count, stream.height, stream.width)):
                frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


NONE, DEFAULT = Disposition(0), Disposition.default


@documented('Several video streams', 'the default one, else the largest; never a thumbnail')
@pytest.mark.parametrize(
    ('name', 'sizes', 'counts', 'dispositions', 'wanted'),
    [
        ('a.mkv', [(32, 32), (96, 64), (64, 64)], [5, 5, 5], [NONE, NONE, NONE], (96, 64)),
        ('a.mkv', [(32, 32), (96, 64), (64, 64)], [5, 5, 5], [NONE, NONE, DEFAULT], (64, 64)),
        ('a.mp4', [(32, 32), (96, 64), (64, 64)], [5, 5, 5], [NONE, NONE, DEFAULT], (64, 64)),
        ('a.mp4', [(32, 32), (96, 64)], [5, 5], [DEFAULT, DEFAULT], (96, 64)),
        ('a.mp4', [(160, 120), (96, 64)], [1, 5], [DEFAULT, DEFAULT], (96, 64)),
        ('a.mkv', [(160, 120), (96, 64)], [1, 25], [DEFAULT, NONE], (96, 64)),
        ('a.mkv', [(160, 120), (96, 64)], [1, 25], [NONE, NONE], (96, 64)),
    ],
)
def test_which_video(tmp_path, name, sizes, counts, dispositions, wanted):
    path = with_videos(tmp_path / name, sizes, counts, dispositions)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == len(sizes)
    video = open_video(path)
    assert (video.width, video.height) == wanted
    assert len(list(video.frames())) == counts[sizes.index(wanted)]


def test_a_stream_of_unknown_length_hides_no_other(tmp_path):
    path = with_videos(tmp_path / 'a.mkv', [(96, 64), (64, 64)], [5, 5], [NONE, NONE])
    data = path.read_bytes()
    assert data.count(b'DURATION') == 2
    place = data.rindex(b'DURATION')
    path.write_bytes(data[:place] + b'DUMMYTAG' + data[place + 8 :])
    assert open_video(path).width == 96


def with_sounds(path, languages, default, seconds=2.0):
    """A video of two seconds with a sound track for each language."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        tracks = []
        for index, language in enumerate(languages):
            track = container.add_stream('aac', rate=44100, layout='mono')
            track.metadata['language'] = language
            track.disposition = DEFAULT if index == default else NONE
            tracks.append(track)
        for index, picture in enumerate(gradient(50)):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        for number, track in enumerate(tracks):
            sound = beeps(seconds) // (number + 1)
            for start in range(0, len(sound), 1024):
                piece = av.AudioFrame.from_ndarray(
                    sound[start : start + 1024].reshape(1, -1), format='s16', layout='mono'
                )
                piece.sample_rate, piece.time_base, piece.pts = 44100, Fraction(1, 44100), start
                container.mux(track.encode(piece))
            container.mux(track.encode(None))
    return path


def rewritten(source, path, **options):
    video = open_video(source)
    return write_video([frame.pixels for frame in video.frames()], path, fps=video.fps, sound=video, **options)


def language_of(path):
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 1
        return container.streams.audio[0].language


@documented('Several sound tracks', 'the default one that can be kept; `sound_track` chooses another; a line says so')
@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv'])
@pytest.mark.parametrize('default', [0, 1, 2])
def test_which_sound(tmp_path, caplog, name, default):
    source = with_sounds(tmp_path / name, ['eng', 'fra', 'deu'], default)
    with caplog.at_level(logging.WARNING):
        out = rewritten(source, tmp_path / 'out.mp4')
    language = ['eng', 'fra', 'deu'][default]
    assert language_of(out) == language
    assert [record.getMessage() for record in caplog.records] == [
        f"The video file '{source}' has 3 sound tracks. Track {default} ({language}, aac) is kept; sound_track=... "
        'chooses another one.'
    ]


def test_a_chosen_sound(tmp_path, caplog):
    source = with_sounds(tmp_path / 'a.mp4', ['eng', 'fra', 'deu'], 0)
    with caplog.at_level(logging.WARNING):
        assert language_of(rewritten(source, tmp_path / 'out.mp4', sound_track=2)) == 'deu'
    assert not caplog.records


@documented('A default sound track that cannot be decoded', 'the next one that can be kept')
def test_an_undecodable_default_costs_nothing(tmp_path):
    """Phones write spatial sound ('apac') beside AAC, and mark both as default."""
    source = with_sounds(tmp_path / 'a.mp4', ['eng', 'fra'], 0)
    data = source.read_bytes()
    place = data.index(b'moov')
    for name, unknown in ((b'mp4a', b'apac'), (b'esds', b'dapa')):
        place = data.index(name, place)
        data = data[:place] + unknown + data[place + 4 :]
    source.write_bytes(data)
    out = rewritten(source, tmp_path / 'out.mp4')
    assert language_of(out) == 'fra'
    assert sound_packets(out)[0] == 'aac'


@pytest.mark.parametrize('name', ['a.mkv', 'a.mp4'])
def test_a_damaged_default_costs_nothing(tmp_path, name):
    source = with_sounds(tmp_path / name, ['eng', 'fra'], 0)
    with av.open(str(source)) as container:
        first = [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]
    data = source.read_bytes()
    for packet in first:
        data = data.replace(packet, b'\xff' * len(packet)) if len(packet) > 8 else data
    source.write_bytes(data)
    assert language_of(rewritten(source, tmp_path / 'out.mp4')) == 'fra'


@pytest.mark.parametrize(
    ('track', 'message'),
    [
        (3, "has the sound tracks 0 to 1, found 'sound_track' 3"),
        (-1, 'must be a whole number from 0 or None, found -1'),
        (True, 'found True'),
        ('fra', "found 'fra'"),
    ],
)
def test_a_sound_that_is_not_there(tmp_path, track, message):
    source = with_sounds(tmp_path / 'a.mp4', ['eng', 'fra'], 0)
    with pytest.raises(InputError, match=message):
        rewritten(source, tmp_path / 'out.mp4', sound_track=track)


def test_stage_2_refuses_a_track_before_it_samples(stage_2, tmp_path):
    source = with_sounds(tmp_path / 'a.mp4', ['eng', 'fra'], 0)
    silent = record(tmp_path / 'b.mp4', gradient(3))
    with pytest.raises(InputError, match="has the sound tracks 0 to 1, found 'sound_track' 2"):
        stage_2(str(source), sound_track=2, steps=1)
    with pytest.raises(InputError, match="has no sound, found 'sound_track' 0"):
        stage_2(str(silent), sound_track=0, steps=1)
    options = {'steps': 1, 'height': 16, 'width': 16, 'guidance_scale': 1.0, 'solver': 'dpmpp_2m', 'num_frames': 2}
    out = stage_2(str(source), sound_track=1, output_video=tmp_path / 'out.mp4', **options)['output_video']
    assert language_of(out) == 'fra'


@documented('Sound that is longer than the video', 'cut where the video ends; a line says how much')
@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.ts'])
def test_longer_sound(tmp_path, caplog, name):
    source = record(tmp_path / name, gradient(25), sound=beeps(4))
    with caplog.at_level(logging.WARNING):
        rewritten(source, tmp_path / 'out.mp4')
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith('s of the sound are left out: the video is shorter.')
    assert float(line.split('the last ')[1].split(' s ')[0]) == pytest.approx(3, abs=0.1)


def test_a_last_packet_filled_up_with_silence_is_no_longer_sound(tmp_path, caplog):
    source = record(tmp_path / 'a.mp4', gradient(50), sound=beeps(2))
    with caplog.at_level(logging.WARNING):
        rewritten(source, tmp_path / 'out.mp4')
    assert not caplog.records


def test_pixels_come_from_the_chosen_video(tmp_path):
    path = with_videos(tmp_path / 'a.mkv', [(32, 32), (96, 64)], [3, 3], [NONE, NONE])
    alone = record(tmp_path / 'b.mp4', gradient(3, 64, 96), 'mpeg4')
    for one, other in zip(open_video(path).frames(), open_video(alone).frames(), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)

"""The sound of the input in the written video."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from modelscope_i2v.errors import InputError, OutputError
from modelscope_i2v.media.reading.info import probe_video
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import encode_video, write_video
from tests.media.clips import beeps, gradient, loud_times, record, sound_packets

ROOT = Path(__file__).parents[2]


def copied(source, target, count=None, fps=None):
    """Write the first ``count`` frames of the video ``source`` with its sound, as stage 2 does."""
    video = open_video(source)
    frames = [frame.pixels for frame in video.frames()][:count]
    return write_video(iter(frames), target, fps=fps or video.fps, sound=video)


def durations(path):
    """Durations of the file, its video track and its audio track, in seconds."""
    with av.open(str(path)) as container:
        tracks = (container.streams.video[0], container.streams.audio[0])
        return container.duration / av.time_base, *(float(track.duration * track.time_base) for track in tracks)


def test_aac_is_copied_packet_by_packet(tmp_path):
    source = record(tmp_path / 'a.mp4', gradient(100), sound=beeps(4, channels=2))
    target = copied(source, tmp_path / 'b.mp4')
    info = probe_video(target)
    assert (info.frames, info.fps, info.has_audio) == (100, 25.0, True)
    assert durations(target) == pytest.approx((4, 4, 4), abs=0.001)
    # This includes the samples before the first audible one. Times and lengths are the same, too.
    assert sound_packets(target) == sound_packets(source)
    assert sound_packets(target)[0] == 'aac'
    assert loud_times(target) == pytest.approx([0, 1, 2, 3], abs=0.001)


@pytest.mark.parametrize(
    ('name', 'video_codec', 'codec', 'rate', 'channels'),
    [
        ('a.mkv', 'libx264', 'aac', 48000, 2),
        ('a.webm', 'libvpx', 'libopus', 48000, 2),
        ('a.mp4', 'libx264', 'libmp3lame', 44100, 1),
        ('a.mkv', 'libx264', 'flac', 44100, 2),
        ('a.mov', 'libx264', 'alac', 44100, 1),
        ('a.mp4', 'libx264', 'ac3', 48000, 6),
        ('a.mp4', 'libx264', 'eac3', 48000, 6),
    ],
)
def test_codecs_that_are_copied(tmp_path, name, video_codec, codec, rate, channels):
    sound = beeps(4, rate, channels)
    source = record(tmp_path / name, gradient(100), video_codec, sound=sound, sound_codec=codec, sound_rate=rate)
    target = copied(source, tmp_path / 'out.mp4')
    before, after = sound_packets(source), sound_packets(target)
    assert after[0] == before[0]
    assert [packet[0] for packet in after[1]] == [packet[0] for packet in before[1]]
    assert loud_times(target) == pytest.approx(loud_times(source), abs=0.002)
    assert durations(target)[0] == pytest.approx(4, abs=0.04)


@pytest.mark.parametrize(
    ('name', 'video_codec', 'codec', 'rate', 'channels'),
    [
        ('a.avi', 'mpeg4', 'pcm_s16le', 44100, 2),
        ('a.avi', 'mpeg4', 'pcm_s16le', 8000, 1),
        ('a.mov', 'libx264', 'pcm_s16le', 96000, 6),
        ('a.mkv', 'libx264', 'pcm_s16le', 22254, 1),
        ('a.mkv', 'libx264', 'mp2', 44100, 2),
    ],
)
def test_codecs_that_become_aac(tmp_path, name, video_codec, codec, rate, channels):
    sound = beeps(4, rate, channels)
    source = record(tmp_path / name, gradient(100), video_codec, sound=sound, sound_codec=codec, sound_rate=rate)
    target = copied(source, tmp_path / 'out.mp4')
    assert sound_packets(target)[0] == 'aac'
    assert loud_times(target) == pytest.approx([0, 1, 2, 3], abs=0.002)
    assert durations(target) == pytest.approx((4, 4, 4), abs=0.001)
    with av.open(target) as container:
        context = container.streams.audio[0].codec_context
        assert context.channels == channels
        assert context.sample_rate == (rate if rate != 22254 else 48000)
        heard = sum(frame.samples for frame in container.decode(audio=0)) / context.sample_rate
    # Decoders play the last packet to its end.
    assert 4 <= heard < 4 + 2048 / context.sample_rate


def test_sound_of_transport_streams_loses_only_its_headers(tmp_path):
    source = record(tmp_path / 'a.ts', gradient(50), sound=beeps(2))
    target = copied(source, tmp_path / 'b.mp4')
    before, after = sound_packets(source)[1], sound_packets(target)[1]
    assert [packet[0] for packet in after] == [packet[0][7:] for packet in before]
    assert loud_times(target) == pytest.approx([0, 1], abs=0.001)


@pytest.mark.parametrize('codec', ['aac', 'pcm_s16le'])
@pytest.mark.parametrize('offset', [0.5, -0.5])
def test_sound_stays_in_step_when_it_begins_earlier_or_later(tmp_path, codec, offset):
    times = [max(0, -offset) + index / 25 for index in range(50)]
    source = tmp_path / 'a.mkv'
    record(source, gradient(50), times=times, sound=beeps(3), sound_codec=codec, sound_at=max(0, offset))
    assert loud_times(source) == pytest.approx([offset, offset + 1, offset + 2], abs=0.03)
    target = copied(source, tmp_path / 'b.mp4')
    assert loud_times(target) == pytest.approx([0.5, 1.5], abs=0.002)
    assert durations(target)[:2] == pytest.approx((2, 2), abs=0.001)


@pytest.mark.parametrize(('name', 'codec'), [('a.mp4', 'aac'), ('a.avi', 'pcm_s16le')])
def test_sound_ends_with_the_video(tmp_path, name, codec):
    source = record(tmp_path / name, gradient(100), 'mpeg4', sound=beeps(4), sound_codec=codec)
    target = copied(source, tmp_path / 'b.mp4', count=30)
    assert durations(target) == pytest.approx((1.2, 1.2, 1.2), abs=0.001)
    assert loud_times(target) == pytest.approx([0, 1], abs=0.002)
    if codec == 'aac':
        before, after = sound_packets(source)[1], sound_packets(target)[1]
        assert [packet[0] for packet in after] == [packet[0] for packet in before[: len(after)]]


def test_sound_that_is_shorter_or_longer_than_the_video(tmp_path):
    for seconds in (0.5, 5):
        source = record(tmp_path / 'a.mp4', gradient(50), sound=beeps(seconds))
        whole, video, audio = durations(copied(source, tmp_path / 'b.mp4'))
        assert (whole, video) == pytest.approx((2, 2), abs=0.001)
        assert audio == pytest.approx(min(seconds, 2), abs=0.03)


def test_a_gap_in_the_sound_stays_a_gap(tmp_path):
    """Lost packets must not make the rest play too early, whether the sound is copied or converted."""
    for codec in ('aac', 'pcm_s16le'):
        whole = record(tmp_path / 'whole.mkv', gradient(100), sound=beeps(4), sound_codec=codec)
        source = tmp_path / 'gap.mkv'
        with av.open(str(whole)) as read, av.open(str(source), 'w') as written:
            streams = {stream.index: written.add_stream_from_template(stream, opaque=True) for stream in read.streams}
            for packet in read.demux():
                lost = packet.stream.type == 'audio' and packet.pts is not None and 800 < packet.pts < 1800
                if packet.size and not lost:
                    packet.stream = streams[packet.stream.index]
                    written.mux(packet)
        target = copied(source, tmp_path / 'b.mp4')
        assert loud_times(target) == pytest.approx([0, 2, 3], abs=0.03)


def test_equal_input_gives_equal_bytes(tmp_path):
    for name, codec in (('a.mp4', 'aac'), ('a.avi', 'pcm_s16le')):
        video = open_video(record(tmp_path / name, gradient(30), 'mpeg4', sound=beeps(2), sound_codec=codec))
        once, again = (encode_video(gradient(30), fps=25, sound=video) for _ in range(2))
        assert once == again


def test_sound_and_frames_alternate_in_the_file(tmp_path):
    """A player must not have to seek: packets for the same moment are close together in the file."""
    source = record(tmp_path / 'a.mp4', gradient(100), sound=beeps(4))
    with av.open(copied(source, tmp_path / 'b.mp4')) as container:
        places = sorted((p.pos, float(p.dts * p.time_base)) for p in container.demux() if p.size)
    moments = [moment for _, moment in places]
    assert max(abs(later - earlier) for earlier, later in itertools.pairwise(moments)) < 0.3


def test_videos_without_sound_and_animations_are_written_silently(tmp_path, caplog):
    silent = open_video(record(tmp_path / 'a.mp4', gradient(5)))
    loud = open_video(record(tmp_path / 'b.mp4', gradient(5), sound=beeps(0.2)))
    plain = encode_video(gradient(5), fps=25)
    assert encode_video(gradient(5), fps=25, sound=silent) == plain
    assert encode_video(gradient(5), fps=25, sound=open_video(np.stack(gradient(5)))) == plain
    write_video(gradient(5), tmp_path / 'c.gif', fps=25, sound=loud)
    assert not probe_video(tmp_path / 'c.gif').has_audio
    assert caplog.records == []


@pytest.mark.parametrize('sound', ['a.mp4', b'', True, []])
def test_sound_is_an_opened_video(tmp_path, sound):
    with pytest.raises(InputError, match='sound must be a video from open_video, or None'):
        write_video(gradient(2), tmp_path / 'a.mp4', fps=8, sound=sound)
    assert list(tmp_path.iterdir()) == []


def test_the_language_is_kept(tmp_path):
    source = tmp_path / 'a.mkv'
    record(source, gradient(5), sound=beeps(0.2))
    spoken = tmp_path / 'b.mkv'
    with av.open(str(source)) as read, av.open(str(spoken), 'w') as written:
        streams = {stream.index: written.add_stream_from_template(stream, opaque=True) for stream in read.streams}
        streams[read.streams.audio[0].index].metadata['language'] = 'fra'
        for packet in read.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                written.mux(packet)
    with av.open(copied(spoken, tmp_path / 'c.mp4')) as container:
        assert container.streams.audio[0].language == 'fra'


def damaged(source, target, first, last):
    """``source`` with the content of the audio packets ``first .. last`` overwritten."""
    data = source.read_bytes()
    with av.open(str(source)) as container:
        for packet in [packet for packet in container.demux(audio=0) if packet.size][first:last]:
            data = data.replace(bytes(packet), b'\xff' * packet.size, 1)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize('codec', ['aac', 'eac3', 'mp2'])
def test_sound_that_is_all_damaged_does_not_cost_the_video(tmp_path, caplog, codec):
    good = record(tmp_path / 'good.mkv', gradient(50), sound=beeps(2), sound_codec=codec)
    source = damaged(good, tmp_path / 'a.mkv', 0, None)
    info = probe_video(copied(source, tmp_path / 'b.mp4'))
    assert (info.frames, info.has_audio) == (50, False)
    assert info.duration == pytest.approx(2, abs=0.001)
    assert caplog.text.count('the video is written without') == 1


@pytest.mark.parametrize('codec', ['aac', 'eac3', 'mp2'])
def test_sound_goes_on_after_damage(tmp_path, caplog, codec):
    # Noise, so that no two packets are alike.
    sound = beeps(4, 48000) + np.random.default_rng(0).integers(-300, 300, (4 * 48000, 1), dtype=np.int16)
    good = record(tmp_path / 'good.mkv', gradient(100), sound=sound, sound_rate=48000, sound_codec=codec)
    seconds = {'aac': 1024 / 48000, 'eac3': 1536 / 48000, 'mp2': 1152 / 48000}[codec]
    source = damaged(good, tmp_path / 'a.mkv', round(0.7 / seconds), round(1.4 / seconds))
    target = copied(source, tmp_path / 'b.mp4')
    assert durations(target)[:2] == pytest.approx((4, 4), abs=0.001)
    assert loud_times(target) == pytest.approx([0, 2, 3], abs=0.03)
    # AAC packets are not parsed.
    assert caplog.text.count('is damaged near 0.') == (codec != 'aac')


def test_a_source_that_has_gone_costs_only_the_sound(tmp_path, caplog):
    path = record(tmp_path / 'a.mp4', gradient(5), sound=beeps(0.2))
    video = open_video(path)
    path.unlink()
    assert not probe_video(write_video(gradient(5), tmp_path / 'b.mp4', fps=25, sound=video)).has_audio
    assert 'written without' in caplog.text


def test_errors_of_the_frames_pass_through_and_leave_nothing(tmp_path):
    video = open_video(record(tmp_path / 'a.mp4', gradient(50), sound=beeps(2)))
    target = tmp_path / 'new' / 'b.mp4'

    def failing(error):
        yield from gradient(20)
        raise error

    for error in (KeyboardInterrupt(), OSError('mine'), ValueError('mine'), InputError('mine')):
        with pytest.raises(type(error)) as caught:
            write_video(failing(error), target, fps=25, sound=video)
        assert caught.value is error
        assert list(target.parent.iterdir()) == []


# A limit on the file size stands in for a full disk.
FULL = """
import resource, signal, sys
import numpy as np
from modelscope_i2v.errors import OutputError
from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.media.writing.write import write_video

video = open_video(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_video((frame.pixels for frame in video.frames()), sys.argv[2], fps=25, sound=video)
except OutputError as error:
    sys.stdout.write(str(error))
"""


def test_a_full_disk_is_no_trouble_with_the_sound(tmp_path):
    source = record(tmp_path / 'a.mp4', gradient(100), sound=beeps(4, channels=2))
    target = tmp_path / 'new' / 'b.mp4'
    command = [sys.executable, '-c', FULL, str(source), str(target)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True)
    assert f"Cannot write '{target}'" in done.stdout
    assert done.stderr == ''
    assert list(target.parent.iterdir()) == []
    assert issubclass(OutputError, OSError)

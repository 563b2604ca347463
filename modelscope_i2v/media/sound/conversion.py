"""The sound of a video as packets for an MP4: copied unchanged, or converted to AAC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from modelscope_i2v.media.sound.packets import SoundPacket, rehearsal

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

#: Codecs that MP4 can hold and players support. All others are converted.
COPIED = ('aac', 'mp3', 'opus', 'flac', 'ac3', 'eac3', 'alac')
_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_LAYOUTS = {1: 'mono', 6: '5.1'}
_BITS_A_CHANNEL = 96_000
# AAC holds at most six bits per sample. Asking for more only causes a warning.
_BITS_A_SAMPLE = 4
# Gaps in the time stamps are filled with silence and overlaps are cut out, if they are 20 ms or longer.
_FOLLOW_TIME_STAMPS = {'async': '1', 'min_hard_comp': '0.02'}


@dataclass(frozen=True)
class OpenSound:
    """The audio ``stream`` of an opened ``container``. The video starts at the time ``zero``, in seconds.

    ``damaged`` is called once, when a packet cannot be decoded, with the approximate time in seconds after ``zero``.
    """

    container: InputContainer
    stream: AudioStream
    zero: Fraction
    damaged: Callable[[Fraction], None]

    @property
    def tick(self) -> Fraction:
        """The time unit of the stream, in seconds."""
        return self.stream.time_base or Fraction(1, 1000)


def copied(sound: OpenSound, output: OutputContainer) -> tuple[AudioStream, Iterator[SoundPacket]]:
    """Add a track to ``output``. Returns it and the packets of ``sound`` for it, unchanged."""
    return output.add_stream_from_template(sound.stream), _copied(sound)


def _copied(sound: OpenSound) -> Iterator[SoundPacket]:
    tick, stream = sound.tick, sound.stream
    exact = Fraction(stream.codec_context.frame_size, stream.codec_context.sample_rate)
    expected: Fraction | None = None
    damaged = False
    with rehearsal(stream) as accepts:
        for packet in sound.container.demux(stream):
            if not packet.size or packet.pts is None:
                continue
            start, duration = packet.pts * tick - sound.zero, (packet.duration or 0) * tick
            # Containers that count in milliseconds round. Packets are contiguous if they are within that rounding.
            if exact and abs(duration - exact) < tick:
                duration = exact
            if expected is not None and abs(start - expected) <= tick:
                start = expected
            expected = start + duration
            piece = SoundPacket(packet, start, duration)
            if accepts(piece):
                yield piece
            elif not damaged:
                damaged = True
                sound.damaged(start)


def encoded(sound: OpenSound, output: OutputContainer) -> tuple[AudioStream, Iterator[SoundPacket]]:
    """Add an AAC track to ``output``. Returns it and packets for it, encoded from ``sound``."""
    context = sound.stream.codec_context
    rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48000
    layout = _LAYOUTS.get(context.channels, 'stereo')
    track = output.add_stream('aac', rate=rate, layout=layout)
    track.bit_rate = min(_BITS_A_CHANNEL, _BITS_A_SAMPLE * rate) * track.codec_context.channels
    return track, _encoded(_decoded(sound), track)


def _encoded(frames: Iterator[AudioFrame], track: AudioStream) -> Iterator[SoundPacket]:
    for frame in _resampled(frames, track):
        for packet in track.encode(frame):
            yield SoundPacket(packet, (packet.pts or 0) * packet.time_base, (packet.duration or 0) * packet.time_base)


def _resampled(frames: Iterator[AudioFrame], track: AudioStream) -> Iterator[AudioFrame | None]:
    """The frames for ``track`` to encode, without gaps. The last item is None and tells the encoder to finish."""
    from av.audio.resampler import AudioResampler

    context = track.codec_context
    resampler = AudioResampler(context.format, context.layout, context.sample_rate, options=_FOLLOW_TIME_STAMPS)
    for frame in frames:
        yield from resampler.resample(frame)
    yield from resampler.resample(None)
    yield None


def _decoded(sound: OpenSound) -> Iterator[AudioFrame]:
    """Samples from the first frame of the video on, with time stamps relative to it. Damaged packets are skipped."""
    import av

    expected = Fraction(0)
    damaged = False
    for packet in sound.container.demux(sound.stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            if not damaged:
                sound.damaged(expected)
            damaged = True
            continue
        for frame in frames:
            start = expected if frame.pts is None else frame.pts * (frame.time_base or sound.tick) - sound.zero
            expected = start + Fraction(frame.samples, frame.sample_rate)
            if expected > 0:
                frame.time_base = Fraction(1, frame.sample_rate)
                frame.pts = round(start * frame.sample_rate)
                yield frame

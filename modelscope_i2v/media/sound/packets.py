"""Sound packets for an MP4, and a check whether MP4 accepts them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet


@dataclass(frozen=True)
class SoundPacket:
    """An FFmpeg packet. ``start`` is in seconds from the first frame of the video, ``duration`` in seconds."""

    packet: Any
    start: Fraction
    duration: Fraction

    @property
    def end(self) -> Fraction:
        return self.start + self.duration


def stamped(sound: SoundPacket, duration: Fraction, stream: AudioStream) -> Packet[AudioStream]:
    """The packet of ``sound``, changed in place: it belongs to ``stream`` and counts time in samples."""
    rate = stream.codec_context.sample_rate
    packet: Packet[AudioStream] = sound.packet
    packet.stream = stream
    packet.time_base = Fraction(1, rate)
    packet.pts = packet.dts = round(sound.start * rate)
    packet.duration = round(duration * rate)
    return packet


@contextmanager
def rehearsal(stream: AudioStream) -> Iterator[Callable[[SoundPacket], bool]]:
    """Yield a function that returns whether an MP4 accepts a packet of ``stream``.

    FFmpeg parses the packets of some codecs and rejects damaged ones. If there are video frames too, it rejects them a
    few packets late, when the file is already ruined. So each packet is first written to a separate MP4, which is
    thrown away.
    """
    import av

    refusals = (av.error.FFmpegError, OSError, ValueError)
    container = av.open(_Nowhere(), 'w', format='mp4')
    try:
        track = container.add_stream_from_template(stream)

        def accepts(sound: SoundPacket) -> bool:
            try:
                container.mux(stamped(sound, sound.duration, track))
            except refusals:
                return False
            return True

        yield accepts
    finally:
        with suppress(*refusals):
            container.close()


class _Nowhere(io.RawIOBase):
    """A file that discards everything written to it."""

    def __init__(self) -> None:
        self._position = self._end = 0

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._position += len(data)
        self._end = max(self._end, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

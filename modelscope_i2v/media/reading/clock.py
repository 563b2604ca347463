"""When each decoded frame is shown, for files whose own time stamps may be wrong."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# The time stamps of so many frames are looked at.
_SAMPLE = 12


class DecodingOrderClock:
    """Gives frames the times at which their packets are decoded: the first frame that of the first packet, and so on.

    AVI stores no other times, and other files may store them in place of the times at which frames are shown. In a
    video whose frames depend on later ones, FFmpeg then reports times that jump back and forth.
    """

    def __init__(self, container: InputContainer) -> None:
        self._is_avi = container.format.name == 'avi'
        self._waiting: deque[int | None] = deque()

    def sent(self, packet: Packet[VideoStream]) -> None:
        """Take note of a ``packet`` before it is decoded."""
        if packet.size:
            # What is wrong in other files is that these times stand where those of showing should be.
            self._waiting.append(packet.dts if self._is_avi else packet.pts)

    def lost(self) -> None:
        """Forget a packet that could not be decoded."""
        if self._waiting:
            self._waiting.pop()

    def stamp(self, frame: av.VideoFrame) -> None:
        """Set the time of ``frame``, the next one to be shown. How long it is shown is not known."""
        frame.pts = self._waiting.popleft() if self._waiting else None
        frame.duration = 0


def needs_decoding_order(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the time stamps of ``stream`` are not those at which frames are shown. Decodes its first frames."""
    import av

    if container.format.name == 'avi':
        return True
    stamps: list[int] = []
    with suppress(av.error.FFmpegError):  # reported when the frames are read
        for packet in container.demux(stream):
            stamps.extend(frame.pts for frame in packet.decode() if frame.pts is not None)
            if len(stamps) >= _SAMPLE:
                break
    return any(later <= earlier for earlier, later in pairwise(stamps))


def frame_rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames per second on average, as far as the beginning of the file tells."""
    # AVI files that another container was copied into count in its ticks and call that their rate.
    if container.format.name == 'avi' and stream.guessed_rate:
        return stream.guessed_rate
    return stream.average_rate or stream.guessed_rate or stream.base_rate

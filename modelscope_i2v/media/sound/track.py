"""Carries the sound of a video over into a new MP4, in sync with its frames."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

from modelscope_i2v.errors import InputError
from modelscope_i2v.media.reading.file import EncodedVideo
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.sound.conversion import COPIED, OpenSound, copied, encoded
from modelscope_i2v.media.sound.packets import SoundPacket, stamped

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

    Method = Callable[[OpenSound, OutputContainer], tuple[AudioStream, Iterator[SoundPacket]]]

_log = logging.getLogger(__name__)

# Decoders need some sound from before the first audible sample. Opus needs the most: 80 ms.
_LEAD = Fraction(1, 10)
_TRIAL_PACKETS = 10


class SoundTrack:
    """Writes sound to an MP4, as far as the frames have been written.

    If the sound turns out to be unreadable at some point, it ends there with a warning. The video is written anyway.
    """

    def __init__(self, name: str, output: OutputContainer, stream: AudioStream, packets: Iterator[SoundPacket]) -> None:
        self._name, self._output, self._stream, self._packets = name, output, stream, packets
        self._last_tick: int | None = None
        self._waiting = self._next()

    def write_until(self, end: Fraction) -> None:
        """Write all packets that end at or before ``end``, in seconds from the first frame."""
        while self._waiting is not None and self._waiting.end <= end:
            self._write(self._waiting, self._waiting.duration)
            self._waiting = self._next()

    def finish(self, end: Fraction) -> None:
        """Write the rest up to ``end``. A packet that extends beyond it is shortened."""
        self.write_until(end)
        if self._waiting is not None and self._waiting.start < end:
            self._write(self._waiting, end - self._waiting.start)

    def _next(self) -> SoundPacket | None:
        try:
            return next((packet for packet in self._packets if packet.end > -_LEAD), None)
        except _problems() as error:
            reached = 0.0 if self._last_tick is None else self._last_tick / self._stream.codec_context.sample_rate
            _log.warning('%s: the sound cannot be read beyond %.2f s and ends there (%s).', self._name, reached, error)
            return None

    def _write(self, sound: SoundPacket, duration: Fraction) -> None:
        packet = stamped(sound, duration, self._stream)
        tick = packet.pts or 0
        if self._last_tick is None or tick > self._last_tick:
            self._last_tick = tick
            self._output.mux(packet)


@contextmanager
def sound_track(source: VideoSource | None, output: OutputContainer) -> Iterator[SoundTrack | None]:
    """Yield the sound of ``source`` as a new track of ``output``. Nothing may have been written to ``output`` yet.

    Yields None if there is no sound, or if it cannot be used (then with a warning). Exceptions raised inside the
    ``with`` block pass through unchanged.
    """
    with ExitStack() as opened:
        if isinstance(source, EncodedVideo) and source.has_sound:
            yield _track(source, output, opened)
        else:
            yield None


def _track(source: EncodedVideo, output: OutputContainer, opened: ExitStack) -> SoundTrack | None:
    def damaged(time: Fraction) -> None:
        _log.warning('%s: the sound is damaged near %.2f s; the lost part is silent.', source.name, time)

    problem: Exception | str = 'it is empty or in an unknown format'
    for method in (copied, encoded):
        try:
            # Try it out first: a track that fails later would ruin the file.
            if _works(source, method):
                container = opened.enter_context(source.opened())
                audio = _best_audio(container)
                stream, packets = method(OpenSound(container, audio, source.start, damaged), output)
                if audio.language:
                    stream.metadata['language'] = audio.language
                return SoundTrack(source.name, output, stream, packets)
        except _problems() as error:
            problem = error
    _log.warning('%s: the sound cannot be used (%s); the video is written without sound.', source.name, problem)
    return None


def _works(source: EncodedVideo, method: Method) -> bool:
    """Whether the first packets can be read and written as a track of an MP4. May raise one of ``_problems`` if not."""
    import av

    file = io.BytesIO()
    with source.opened() as container, av.open(file, 'w', format='mp4') as trial:
        audio = _best_audio(container)
        context = audio.codec_context
        if context is None or not context.sample_rate:
            return False
        if method is copied and context.codec.canonical_name not in COPIED:
            return False
        stream, packets = method(OpenSound(container, audio, source.start, lambda _: None), trial)
        for sound in islice(packets, _TRIAL_PACKETS):
            trial.mux(stamped(sound, sound.duration, stream))
    # The muxer silently drops packets that it cannot parse, E-AC-3 for example.
    with av.open(io.BytesIO(file.getvalue())) as written:
        return bool(written.streams.audio)


def _best_audio(container: InputContainer) -> AudioStream:
    best = container.streams.best('audio')
    return best if best is not None else container.streams.audio[0]  # type: ignore[return-value]


def _problems() -> tuple[type[Exception], ...]:
    import av

    return (InputError, OSError, ValueError, av.error.FFmpegError)

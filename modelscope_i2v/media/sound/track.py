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
from modelscope_i2v.media.reading.encoded import EncodedVideo
from modelscope_i2v.media.reading.source import VideoSource
from modelscope_i2v.media.reading.streams import sound_streams
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
# Nobody misses so many seconds of sound at the end: encoders fill up their last packet with silence.
_UNHEARD = Fraction(1, 10)


class SoundTrack:
    """Writes sound to an MP4, as far as the frames have been written.

    If the sound turns out to be unreadable at some point, it ends there with a warning. The video is written anyway.
    """

    def __init__(
        self, name: str, output: OutputContainer, stream: AudioStream, packets: Iterator[SoundPacket], end: Fraction
    ) -> None:
        """``end``: when the sound ends, in seconds from the first frame, as far as the file says."""
        self._name, self._output, self._stream, self._packets, self._end = name, output, stream, packets, end
        self._last_tick: int | None = None
        self._waiting = self._next()

    def write_until(self, end: Fraction) -> None:
        """Write all packets that end at or before ``end``, in seconds from the first frame."""
        while self._waiting is not None and self._waiting.end <= end:
            self._write(self._waiting, self._waiting.duration)
            self._waiting = self._next()

    def finish(self, end: Fraction) -> None:
        """Write the rest up to ``end``. A packet that extends beyond it is shortened, and later ones are left out."""
        self.write_until(end)
        if self._waiting is None:
            return
        if self._waiting.start < end:
            self._write(self._waiting, end - self._waiting.start)
        left_out = self._end - end
        if left_out > _UNHEARD:
            _log.warning('%s: the last %.2f s of the sound are left out: the video is shorter.', self._name, left_out)

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
def sound_track(source: VideoSource | None, index: int | None, output: OutputContainer) -> Iterator[SoundTrack | None]:
    """Yield the sound of ``source`` as a new track of ``output``. Nothing may have been written to ``output`` yet.

    Yields None if there is no sound, or if it cannot be used (then with a warning). Exceptions raised inside the
    ``with`` block pass through unchanged.

    Args:
        index: which track of ``source``, counted from 0; None takes the first that can be used, default ones first.
    """
    with ExitStack() as opened:
        if isinstance(source, EncodedVideo) and source.has_sound:
            yield _track(source, index, output, opened)
        else:
            yield None


def _track(source: EncodedVideo, index: int | None, output: OutputContainer, opened: ExitStack) -> SoundTrack | None:
    def damaged(time: Fraction) -> None:
        _log.warning('%s: the sound is damaged near %.2f s; the lost part is silent.', source.name, time)

    problem: Exception | str = 'it is empty or in an unknown format'
    candidates: list[int] = []
    try:
        candidates = _candidates(source) if index is None else [index]
    except _problems() as error:
        problem = error
    for track in candidates:
        for method in (copied, encoded):
            try:
                # Try it out first: a track that fails later would ruin the file.
                if not _works(source, track, method):
                    continue
                container = opened.enter_context(source.opened())
                audio = container.streams.audio[track]
                stream, packets = method(OpenSound(container, audio, source.start, damaged), output)
            except _problems() as error:
                problem = error
                continue
            if audio.language:
                stream.metadata['language'] = audio.language
            if index is None and source.sound_tracks > 1:
                _log.warning(
                    '%s has %d sound tracks. Track %d (%s) is kept; sound_track=... chooses another one.',
                    source.name,
                    source.sound_tracks,
                    track,
                    ', '.join(filter(None, [audio.language, audio.codec_context.name])),
                )
            return SoundTrack(source.name, output, stream, packets, _end(container, audio) - source.start)
    _log.warning('%s: the sound cannot be used (%s); the video is written without sound.', source.name, problem)
    return None


def _candidates(source: EncodedVideo) -> list[int]:
    """The sound tracks, counted from 0, the most preferred one first. Those that cannot be decoded come last."""
    with source.opened() as container:
        places = list(container.streams.audio)
        preferred = [places.index(stream) for stream in sound_streams(container)]
    return preferred if len(preferred) == 1 else sorted(preferred, key=lambda track: not _is_sound(source, track))


def _is_sound(source: EncodedVideo, track: int) -> bool:
    """Whether most of the first packets of a track can be decoded."""
    decoded = failed = 0
    with source.opened() as container:
        audio = container.streams.audio[track]
        if audio.codec_context is None:
            return False
        for packet in islice(container.demux(audio), _TRIAL_PACKETS):
            try:
                decoded += bool(packet.decode())
            except _problems():
                failed += 1
    return decoded > failed


def _works(source: EncodedVideo, track: int, method: Method) -> bool:
    """Whether the first packets can be read and written as a track of an MP4. May raise one of ``_problems`` if not."""
    import av

    file = io.BytesIO()
    with source.opened() as container, av.open(file, 'w', format='mp4') as trial:
        audio = container.streams.audio[track]
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


def _end(container: InputContainer, stream: AudioStream) -> Fraction:
    """When the sound ends, in seconds on the file's own clock; 0 if the file does not say."""
    import av

    if stream.duration is not None and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    return Fraction((container.start_time or 0) + (container.duration or 0), av.time_base)


def _problems() -> tuple[type[Exception], ...]:
    import av

    return (InputError, OSError, ValueError, av.error.FFmpegError)

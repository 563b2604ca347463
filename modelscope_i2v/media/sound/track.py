"""Taking the sound of a video along into a new MP4, in step with its frames."""

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

# Decoders need some sound from before the first sample to be heard: Opus, the most demanding, 80 ms.
_LEAD = Fraction(1, 10)
_TRIAL_PACKETS = 10


class SoundTrack:
    """Sound on its way into an MP4, written up to where the frames are.

    Sound that turns out to be damaged ends there with a warning: it must not cost the video.
    """

    def __init__(self, name: str, output: OutputContainer, stream: AudioStream, packets: Iterator[SoundPacket]) -> None:
        self._name, self._output, self._stream, self._packets = name, output, stream, packets
        self._last_tick: int | None = None
        self._waiting = self._next()

    def write_until(self, end: Fraction) -> None:
        """Write all packets that are over at ``end``, in seconds from the first frame."""
        while self._waiting is not None and self._waiting.end <= end:
            self._write(self._waiting, self._waiting.duration)
            self._waiting = self._next()

    def finish(self, end: Fraction) -> None:
        """Write the rest up to ``end``; the packet that reaches beyond it is shortened."""
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
    """The sound of ``source`` as a new track of ``output``, which must not have been written to yet.

    None where there is no sound, or none that can be used (then with a warning). What is raised inside the ``with``
    block passes as it is.
    """
    with ExitStack() as opened:
        if isinstance(source, EncodedVideo) and source.has_sound:
            yield _track(source, output, opened)
        else:
            yield None


def _track(source: EncodedVideo, output: OutputContainer, opened: ExitStack) -> SoundTrack | None:
    def damaged(time: Fraction) -> None:
        _log.warning('%s: the sound is damaged near %.2f s; what is lost there is silent.', source.name, time)

    problem: Exception | str = 'it is empty or of an unknown kind'
    for method in (copied, encoded):
        try:
            # Tried out first: a track that turns out to be impossible later would spoil the file.
            if _works(source, method):
                container = opened.enter_context(source.opened())
                audio = _best_audio(container)
                stream, packets = method(OpenSound(container, audio, source.start, damaged), output)
                if audio.language:
                    stream.metadata['language'] = audio.language
                return SoundTrack(source.name, output, stream, packets)
        except _problems() as error:
            problem = error
    _log.warning('%s: the sound cannot be used (%s); the video is written without.', source.name, problem)
    return None


def _works(source: EncodedVideo, method: Method) -> bool:
    """Whether the first packets can be had and make a track of an MP4; raises one of ``_problems`` where not."""
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
    # The muxer drops what it cannot make sense of, E-AC-3 for example, without a word.
    with av.open(io.BytesIO(file.getvalue())) as written:
        return bool(written.streams.audio)


def _best_audio(container: InputContainer) -> AudioStream:
    best = container.streams.best('audio')
    return best if best is not None else container.streams.audio[0]  # type: ignore[return-value]


def _problems() -> tuple[type[Exception], ...]:
    import av

    return (InputError, OSError, ValueError, av.error.FFmpegError)

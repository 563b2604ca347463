"""Videos with sound, as other programs write them and users bring them."""

import itertools
from fractions import Fraction

import av
import numpy as np


def gradient(count, height=48, width=64):
    """Smooth RGB frames that move and differ from each other."""
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack([(x * 3 + 2 * i) % 256, y * 4 % 256, np.full_like(x, i * 7 % 256)], axis=-1).astype(np.uint8)
        for i in range(count)
    ]


def beeps(seconds, rate=44100, channels=1):
    """int16 ``[samples, channels]``: silence with a short loud tone at the beginning of every second."""
    time = np.arange(int(seconds * rate)) / rate
    tone = np.where(time % 1 < 0.1, np.sin(2 * np.pi * 1000 * time), 0)
    return np.repeat((tone * 20000).astype(np.int16)[:, None], channels, axis=1)


def record(
    path,
    frames,
    codec='libx264',
    fps=25,
    times=None,
    sound=None,
    sound_codec='aac',
    sound_rate=44100,
    sound_at=0.0,
    pixels='yuv420p',
    rotation=None,
    container_options=None,
    **context,
):
    """Write ``frames`` (at ``times`` in seconds, if given) and int16 ``sound`` that begins at ``sound_at`` seconds."""
    with av.open(str(path), 'w', options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(*rotation)
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if sound is not None:
            layout = {1: 'mono', 2: 'stereo', 6: '5.1'}[sound.shape[1]]
            track = container.add_stream(sound_codec, rate=sound_rate, layout=layout)
            for start in range(0, len(sound), 1024):
                piece = sound[start : start + 1024]
                frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format='s16', layout=layout)
                frame.sample_rate, frame.time_base = sound_rate, Fraction(1, sound_rate)
                frame.pts = start + round(sound_at * sound_rate)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
        for index, pixels_of in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_of, format='rgb24')
            if times is None:
                frame.pts, frame.time_base = index, 1 / Fraction(fps)
            else:
                frame.pts, frame.time_base = round(times[index] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sound_packets(path):
    """The codec and the ``(bytes, start, duration)`` of every audio packet, times in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        tick = stream.time_base
        return stream.codec_context.name, [(bytes(p), float(p.pts * tick), float(p.duration * tick)) for p in packets]


def loud_times(path, threshold=0.2):
    """The times, in seconds from the first video frame, at which each tone of ``beeps`` becomes audible."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        zero = frame.pts * frame.time_base
    times = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler('fltp', 'mono')
        for piece in itertools.chain.from_iterable(map(resampler.resample, _decodable(container))):
            loud = np.flatnonzero(np.abs(piece.to_ndarray()[0]) > threshold)
            if len(loud):
                start = float(piece.pts * piece.time_base - zero) + loud[0] / piece.sample_rate
                # The pieces of one tone follow each other closely.
                if not times or start - times[-1] > 0.3:
                    times.append(float(start))
    return times


def _decodable(container):
    for packet in container.demux(audio=0):
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue

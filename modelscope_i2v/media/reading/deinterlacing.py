"""Makes whole frames of interlaced ones, in which every other row is from another moment."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av
    from av.filter import Graph

    Timing = tuple[int | None, Fraction | None, int]

_log = logging.getLogger(__name__)


def deinterlaced(frames: Iterable[av.VideoFrame], name: str) -> Iterator[av.VideoFrame]:
    """``frames``, with the interlaced ones turned into whole frames by FFmpeg's ``bwdif``. Others pass unchanged.

    The number of frames and their times stay the same. The filter starts at the first interlaced frame, with one line
    in the log, and from there on each frame comes out after its successor has gone in.
    """
    frames = iter(frames)
    for frame in frames:
        if frame.interlaced_frame:
            _log.warning('%s is interlaced; its frames are deinterlaced.', name)
            yield from _filtered(frame, frames)
            return
        yield frame


def _filtered(first: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    graph = _graph(first)
    times: deque[Timing] = deque()
    for frame in chain([first], rest):
        if (frame.width, frame.height, frame.format.name) != (first.width, first.height, first.format.name):
            graph.push(None)
            yield from _finished(graph, times)
            yield from chain([frame], rest)  # the reader refuses a change of size: it has to see it
            return
        times.append((frame.pts, frame.time_base, frame.duration))
        graph.push(frame)
        yield from _finished(graph, times)
    graph.push(None)
    yield from _finished(graph, times)


def _graph(frame: av.VideoFrame) -> Graph:
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
    )
    graph.link_nodes(source, graph.add('bwdif', 'mode=send_frame:deint=interlaced'), graph.add('buffersink'))
    graph.configure()
    return graph


def _finished(graph: Graph, times: deque[Timing]) -> Iterator[av.VideoFrame]:
    """The frames that have passed the filter. They get their times back, which the filter counts differently."""
    import av

    while True:
        try:
            frame = graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pts, frame.time_base, frame.duration = times.popleft()
        yield frame

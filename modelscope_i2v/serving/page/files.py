"""Components that hand over a file as it was sent: what it contains is for the engine to judge, in our words."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

import gradio as gr


def _path(self: Any, payload: Any) -> str | None:
    """The path, which Gradio has checked to be an upload."""
    return None if payload is None else str(payload.path)


def _as_sent(kind: type) -> Any:
    """A class like ``kind`` of Gradio. An instance would not do: Gradio makes a new one when an event changes it.

    Gradio's own metaclass would write a file beside this one, so the one that it is made from makes the class.
    """
    return ABCMeta.__new__(type(kind), kind.__name__, (kind,), {'preprocess': _path, '__module__': __name__})


_PICTURE, _VIDEO = _as_sent(gr.Image), _as_sent(gr.Video)


def picture_file(**options: Any) -> gr.Image:
    """A picture that is dropped, pasted, taken or chosen; handlers get the path of its file."""
    return _PICTURE(type='filepath', **options)


def video_file(**options: Any) -> gr.Video:
    """A video that is dropped or chosen; handlers get the path of its file."""
    return _VIDEO(**options)

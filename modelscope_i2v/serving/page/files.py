"""Components that hand over a file as it was sent: what it contains is for the engine to judge, in our words.

Their classes are Gradio's: for a class of ours, Gradio would write a file beside this one.
"""

from __future__ import annotations

from typing import Any

import gradio as gr


def picture_file(**options: Any) -> gr.Image:
    """A picture that is dropped, pasted, taken or chosen; handlers get the path of its file."""
    return _as_sent(gr.Image(type='filepath', **options))


def video_file(**options: Any) -> gr.Video:
    """A video that is dropped or chosen; handlers get the path of its file."""
    return _as_sent(gr.Video(**options))


def _as_sent(component: Any) -> Any:
    component.preprocess = _path
    return component


def _path(payload: Any) -> str | None:
    """The path, which Gradio has checked to be an upload."""
    return None if payload is None else str(payload.path)

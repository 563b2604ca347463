"""Components that hand over a file as it was sent: what it contains is for the engine to judge, in our words."""

from __future__ import annotations

from typing import Any

import gradio as gr

class PictureFile(gr.Image):
    """A picture that is dropped, pasted, taken or chosen; the path of its file."""

    is_template = True  # looks as its parent does

    def preprocess(self, payload: Any) -> str | None:
        """The path, which Gradio has checked to be an upload."""
        return None if payload is None else str(payload.path)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

class VideoFile(gr.Video):
    """A video that is dropped or chosen; the path of its file."""

    is_template = True  # looks as its parent does

    def preprocess(self, payload: Any) -> str | None:
        """The path, which Gradio has checked to be an upload."""
        return None if payload is None else str(payload.path)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

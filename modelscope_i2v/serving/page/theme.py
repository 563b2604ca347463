"""How the page looks, without a font, a script or a picture of another host."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_HERE = Path(__file__).parent
STYLE = (_HERE / 'style.css').read_text(encoding='utf-8')
SCRIPT = (_HERE / 'page.js').read_text(encoding='utf-8')
#: Fonts that the machine of the reader has, Chinese ones too.
_FONTS = ('system-ui', 'Segoe UI', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'sans-serif')
_FIXED_WIDTH = ('ui-monospace', 'Menlo', 'Consolas', 'monospace')


def theme() -> gr.themes.Base:
    """Quiet greys and one colour, in dark and light."""
    return gr.themes.Base(
        primary_hue='indigo',
        neutral_hue='slate',
        radius_size='lg',
        font=_FONTS,
        font_mono=_FIXED_WIDTH,
    ).set(
        body_background_fill='*neutral_50',
        body_background_fill_dark='*neutral_950',
        block_border_width='0px',
        block_background_fill='transparent',
        block_background_fill_dark='transparent',
        block_padding='0px',
        block_label_text_color='*neutral_700',
        block_label_text_color_dark='*neutral_200',
        block_title_text_color='*neutral_800',
        block_title_text_color_dark='*neutral_100',
        block_title_text_weight='550',
        block_info_text_color='*neutral_600',
        block_info_text_color_dark='*neutral_400',
        body_text_color_subdued='*neutral_600',
        body_text_color_subdued_dark='*neutral_400',
        input_background_fill='white',
        input_background_fill_dark='*neutral_900',
        input_border_width='1px',
        input_border_color='*neutral_300',
        input_border_color_dark='*neutral_700',
        input_placeholder_color='*neutral_500',
        input_placeholder_color_dark='*neutral_400',
        button_primary_background_fill='*primary_600',
        button_primary_background_fill_hover='*primary_700',
        button_primary_background_fill_dark='*primary_600',
        button_primary_background_fill_hover_dark='*primary_700',
        button_primary_text_color='white',
        slider_color='*primary_600',
        slider_color_dark='*primary_400',
    )

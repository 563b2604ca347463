"""One step of the page: its fields on one side, its videos on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from modelscope_i2v.serving.engine import Engine
from modelscope_i2v.serving.models import ServedModel
from modelscope_i2v.serving.page.examples import examples
from modelscope_i2v.serving.page.files import picture_file, video_file
from modelscope_i2v.serving.page.fragments import empty, heading, source
from modelscope_i2v.serving.page.options import Option, default, options_of, properties, takes
from modelscope_i2v.serving.page.requests import Wish
from modelscope_i2v.serving.page.sizes import OWN, Sizes
from modelscope_i2v.serving.page.texts import say

#: Most variations of one picture.
VARIATIONS = (1, 2, 4)
#: Tells Python which button of a piece of HTML was pressed.
ON_LOAD = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (button) trigger('click', { action: button.dataset.action, value: button.dataset.value });
});
"""


def html(value: str, **options: Any) -> gr.HTML:
    """A piece of HTML whose buttons are heard."""
    return gr.HTML(value, js_on_load=ON_LOAD, apply_default_css=False, **options)


class Step:
    """The components of a step. Created inside of a ``gr.Blocks``.

    Args:
        number: 1 makes videos of pictures, 2 makes videos larger.
        models: that do so, at least one.
    """

    def __init__(self, engine: Engine, number: int, models: list[ServedModel], language: str) -> None:
        self.number, self.models, self._engine = number, models, engine
        self.options, self._sizes = options_of(number, models), Sizes(engine)
        self._fields: dict[str, gr.components.Component] = {}
        self._texts: dict[str, Any] = {}
        first = models[0]
        self._given = self._properties(language, first, '')
        self.heading = gr.HTML(heading(language, number), apply_default_css=False)
        with gr.Row(equal_height=False, elem_classes='step'):
            with gr.Column(scale=5, min_width=320, elem_classes='card'):
                self._inputs(language)
                self._common(first)
                with self._add(gr.Accordion, 'advanced', open=False):
                    for option in self.options:
                        if option.folded:
                            self._option(option, first)
                with gr.Row(elem_classes='buttons'):
                    self.make = self._add(gr.Button, f'make_{number}', variant='primary', elem_id=f'make-{number}')
                    self.again = self._add(gr.Button, 'again', visible=number == 1)
                    self.cancel = self._add(gr.Button, 'cancel', variant='stop', visible=False)
            with gr.Column(scale=6, min_width=320, elem_classes='card results', elem_id=f'results-{number}'):
                count = max(VARIATIONS) if number == 1 else 1
                self.tiles = [html(empty(language, number)), *(html('', visible=False) for _ in range(count - 1))]
                self.sheet = gr.HTML('', visible=False, apply_default_css=False)

    @property
    def inputs(self) -> list[gr.components.Component]:
        """What :meth:`wish` is made of."""
        return [self.file, *self._fields.values()]

    def wish(self, source: str | None, values: tuple[Any, ...]) -> Wish:
        """What somebody chose; ``values`` are those of :attr:`inputs`."""
        file, *rest = values
        chosen = dict(zip(self._fields, rest, strict=True))
        return Wish(
            file=file,
            source=source,
            model=chosen['model'] or self.models[0].name,  # a field that is not shown has no value
            text=chosen['text'] or '',
            seed=(chosen['seed'] or '').strip(),
            size=chosen['size'],
            variations=int(chosen.get('variations') or 1),
            options={option.name: chosen[option.name] for option in self.options},
        )

    def updates(self, language: str, model: str | None, text: str, *, values: bool = False) -> dict[Any, Any]:
        """How the components look in a language and for a model; with ``values``, its defaults too."""
        served = self._engine.catalogue.named(model or self.models[0].name)
        looks = self._properties(language, served, text)
        if values:
            for name, value in self._defaults(served).items():
                looks[name]['value'] = value
        parts = {**self._fields, **self._texts}
        return {
            self.heading: gr.update(value=heading(language, self.number)),
            **{parts[name]: gr.update(**look) for name, look in looks.items() if name in parts},
        }

    @property
    def dressed(self) -> list[Any]:
        """All that :meth:`updates` may change."""
        return [self.heading, *self._fields.values(), *self._texts.values()]

    @property
    def model(self) -> gr.components.Component:
        return self._fields['model']

    @property
    def text(self) -> gr.components.Component:
        return self._fields['text']

    @property
    def seed(self) -> gr.components.Component:
        return self._fields['seed']

    def _inputs(self, language: str) -> None:
        if self.number == 1:
            options: Any = {'sources': ['upload', 'clipboard', 'webcam'], 'height': 260}
            self.file = self._add(picture_file, 'picture', buttons=[], elem_id='picture', **options)
            self.examples = html(examples(language))
            return
        self.source = gr.HTML(source(None, False, language), apply_default_css=False)
        with self._add(gr.Accordion, 'use_other', open=False):
            self.file = self._add(video_file, 'video', sources=['upload'], height=220, elem_id='video')

    def _common(self, first: ServedModel) -> None:
        names = [model.name for model in self.models]
        self._field(gr.Dropdown, 'model', value=first.name, choices=names, elem_id=f'model-{self.number}')
        self._field(gr.Textbox, 'text', lines=2, max_lines=4, elem_id=f'text-{self.number}')
        for option in self.options:
            if not option.folded:
                self._option(option, first)
        self._field(gr.Dropdown, 'size', value=OWN, elem_id=f'size-{self.number}')
        with gr.Row():
            self._field(gr.Textbox, 'seed', value='', max_lines=1, elem_id=f'seed-{self.number}')
            if self.number == 1:
                choices = [(str(count), count) for count in VARIATIONS]
                self._field(gr.Radio, 'variations', value=1, choices=choices, elem_id='variations')

    def _option(self, option: Option, first: ServedModel) -> None:
        value, common = default(first, option.name), {'elem_id': f'{option.name}-{self.number}'}
        if option.kind == 'slider':
            limits: Any = {'minimum': option.low, 'step': option.step, 'buttons': []}
            self._field(gr.Slider, option.name, value=value or option.low, **limits, **common)
        elif option.kind == 'choice':
            self._field(gr.Dropdown, option.name, value=value, **common)
        else:
            self._field(gr.Textbox, option.name, value=value, **common)

    def _defaults(self, model: ServedModel) -> dict[str, Any]:
        found = {each.name: default(model, each.name) for each in self.options if takes(model, each.name)}
        return {**found, 'size': OWN}

    def _field(self, kind: type, name: str, **options: Any) -> None:
        self._fields[name] = kind(**{**options, **self._given[name]})

    def _add(self, kind: Callable[..., Any], name: str, **options: Any) -> Any:
        self._texts[name] = kind(**{**options, **self._given[name]})
        return self._texts[name]

    def _properties(self, language: str, model: ServedModel, text: str) -> dict[str, dict[str, Any]]:
        """Name of a component -> what depends on language and model."""

        def labelled(name: str, **values: Any) -> dict[str, Any]:
            return {'label': say(language, name), 'info': say(language, f'{name}_hint', **values)}

        fps = model.snapshot.folder.configuration.target_fps
        looks: dict[str, dict[str, Any]] = {
            'model': {**labelled('model'), 'visible': len(self.models) > 1},
            'text': self._text(language, model, text),
            'size': {**labelled('size'), 'choices': self._sizes.choices(model, language)},
            'seed': {**labelled('seed'), 'placeholder': say(language, 'seed_random')},
            'variations': labelled('variations'),
        }
        for option in self.options:
            more = {'fps': fps} if option.name == 'num_frames' else {}
            looks[option.name] = {**labelled(option.name, **more), **properties(option, model, self._engine.limits)}
        looks.update({name: {'value': say(language, name)} for name in (f'make_{self.number}', 'again', 'cancel')})
        looks.update({name: {'label': say(language, name)} for name in ('advanced', 'use_other', 'video')})
        looks['picture'] = {'label': say(language, 'picture'), 'placeholder': say(language, 'picture_drop')}
        return looks

    def _text(self, language: str, model: ServedModel, text: str) -> dict[str, Any]:
        """A text that the model does not take stays in sight, so that it can be emptied."""
        look = {
            'label': say(language, 'text'),
            'info': say(language, 'text_hint'),
            'placeholder': say(language, 'text_example'),
            'visible': model.takes_text or bool(text.strip()),
        }
        if not model.takes_text:
            others = [other.name for other in self.models if other.takes_text]
            look['info'] = say(language, 'text_none', model=others[0]) if others else say(language, 'text_none_at_all')
        return look

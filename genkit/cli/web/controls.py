"""A knob as components of the page, and what a visitor has set it to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from genkit.cli.web.knobs import Choice, Knob, Line, Moving, PartSlide, Picture, Slide
from genkit.core.errors import GenkitError, shown

ANY = "not set"
"""Of a list: nothing is asked for."""

PARTS, LONGEST = 200, 100
"""Stops of a slider, and letters of a text."""


def dropped(label: str, **settings: Any) -> gr.Image:
    """A place for an image that a visitor drops."""
    sources: Any = ["upload", "clipboard"]
    return gr.Image(
        type="filepath", image_mode=None, sources=sources, label=label, buttons=[], interactive=True, **settings
    )


@dataclass
class Control:
    """A knob in the page.

    Attributes:
        components: whose values, in this order, `value` reads.
        changes: events after which another picture is wanted.
    """

    knob: Knob
    components: list[Any] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)

    def value(self, given: Sequence[Any]) -> Any:
        """Text or number, of a `Moving` both, None where nothing is asked for.

        Raises:
            GenkitError: nothing that the knob has.
        """
        knob = self.knob
        if isinstance(knob, Slide):
            return number(given[1], knob) if given[0] else None
        if given[0] in (None, "", ANY):
            return None
        text = str(given[0])
        if (isinstance(knob, Choice) and text not in knob.choices) or (len(text) > LONGEST and isinstance(knob, Line)):
            raise GenkitError(f"{knob.name}: {shown(text)} is not to be had here")
        return (text, number(given[1], knob.far)) if isinstance(knob, Moving) else text


def number(given: Any, knob: Slide) -> int | float:
    """A number in the range of a slider.

    Raises:
        GenkitError: it is none.
    """
    if not isinstance(given, (int, float)) or not math.isfinite(given) or not knob.low <= given <= knob.high:
        raise GenkitError(f"{knob.name}: a number from {knob.low:g} to {knob.high:g}, got {shown(given)}")
    return int(given) if knob.whole else float(given)


def control(knob: Knob) -> Control:
    """The components of a knob, made where the page is being built."""
    title = knob.name.replace("_", " ")
    if isinstance(knob, PartSlide):
        return _slide(knob, f"{title} of {knob.part}")
    if isinstance(knob, Slide):
        return _slide(knob, title)
    if isinstance(knob, Moving):
        return _moving(knob, title)
    if isinstance(knob, Choice):
        chosen = gr.Dropdown([ANY, *knob.choices], value=ANY, label=title, info=knob.about, interactive=True)
        return Control(knob, [chosen], [chosen.input])
    if isinstance(knob, Picture):
        image = dropped(f"{title}: {knob.about}", height=200)
        return Control(knob, [image], [image.upload])
    line = gr.Textbox(label=title, info=knob.about, placeholder=ANY, interactive=True, max_length=LONGEST)
    return Control(knob, [line], [line.submit])


def _slide(knob: Slide, title: str) -> Control:
    """A slider that shows once its box is ticked, by the page's style."""
    with gr.Group(elem_classes="optional"):
        ticked = gr.Checkbox(False, label=title, info=knob.about, interactive=True)
        slider = _slider(knob, title, show_label=False)
    return Control(knob, [ticked, slider], [ticked.input, slider.input])


def _moving(knob: Moving, title: str) -> Control:
    """A list, and how far."""
    with gr.Group():
        chosen = gr.Dropdown([ANY, *knob.choices], value=ANY, label=title, info=knob.about, interactive=True)
        slider = _slider(knob.far, knob.far.name, info=knob.far.about)
    return Control(knob, [chosen, slider], [chosen.input, slider.input])


def _slider(knob: Slide, title: str, **settings: Any) -> gr.Slider:
    step = 1 if knob.whole else (knob.high - knob.low) / PARTS
    return gr.Slider(
        knob.low, knob.high, knob.start, step=step, label=title, interactive=True, elem_classes="far", **settings
    )

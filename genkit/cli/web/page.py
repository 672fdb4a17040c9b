"""The page: one list of weights above four tabs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from genkit import __version__
from genkit.cli.web.about import about
from genkit.cli.web.confined import ConfinedBlocks
from genkit.cli.web.image_tab import image_tab
from genkit.cli.web.library import Library
from genkit.cli.web.markup import note
from genkit.cli.web.reading_tab import reading_tab
from genkit.cli.web.sample_tab import sample_tab
from genkit.cli.web.training_tab import training_tab

SAMPLES, IMAGE, TRAINING, PAGES = "Samples", "Your image", "Training", "Pages"


def page(library: Library) -> gr.Blocks:
    """The page of what `library` lists."""
    with ConfinedBlocks(title="genkit", analytics_enabled=False) as blocks:
        with gr.Row(equal_height=True):
            gr.Markdown(f"# genkit\nversion {__version__}")
            weights = gr.Dropdown(list(library.generators()), value=None, label="Weights", elem_id="weights", scale=3)
        line = gr.HTML(elem_id="about")
        taken = gr.State()  # the list says that it has changed when it is left, too; this does so once
        movable = gr.State()  # the weights taken, and the folders of directions at hand: one change for both

        def with_directions(name: str | None) -> tuple[str | None, tuple[str, ...]]:
            return name, tuple(library.directions())

        weights.change(lambda name: (name, with_directions(name)), weights, [taken, movable], show_progress="hidden")
        taken.change(
            lambda name: note(about(library.generators().get(name or "", ""))), taken, line, show_progress="hidden"
        )
        with gr.Tabs() as tabs:
            with gr.Tab(SAMPLES):
                sample_tab(library, taken, movable)
            with gr.Tab(IMAGE):
                image_tab(library, taken, weights)
            with gr.Tab(TRAINING):
                watch, run = training_tab(library)
            with gr.Tab(PAGES):
                reading, read = reading_tab(library)
        lists = [weights, run, read]

        def listed(*chosen: str | None) -> list[Any]:
            names = [list(names) for names in (library.generators(), library.runs(), library.pages())]
            return [relisted(*pair) for pair in zip(names, chosen, strict=True)]

        def selected(tab: gr.SelectData, *chosen: str | None) -> list[Any]:
            timers = [gr.Timer(active=tab.value == name) for name in (TRAINING, PAGES)]
            return [*timers, with_directions(chosen[0]), *listed(*chosen)]

        tabs.select(selected, lists, [watch, reading, movable, *lists], show_progress="hidden")
        blocks.load(listed, lists, lists, show_progress="hidden")
    return blocks


def relisted(names: Sequence[str], chosen: str | None) -> Any:
    """The update of a list: what was chosen stays, and where that is not there the first is."""
    if chosen in names:
        return gr.Dropdown(names)
    return gr.Dropdown(names, value=names[0] if names else None)

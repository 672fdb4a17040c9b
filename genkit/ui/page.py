"""The page: one list of weights above four tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from genkit import __version__
from genkit.ui.image_tab import image_tab
from genkit.ui.library import Library
from genkit.ui.reading_tab import reading_tab
from genkit.ui.sample_tab import sample_tab
from genkit.ui.training_tab import training_tab

SAMPLES, IMAGE, TRAINING, PAGES = "Samples", "Your image", "Training", "Pages"


def page(library: Library) -> gr.Blocks:
    """The page of what `library` lists."""
    with gr.Blocks(title="genkit", analytics_enabled=False) as blocks:
        with gr.Row(equal_height=True):
            gr.Markdown(f"# genkit\nversion {__version__}")
            weights = gr.Dropdown(list(library.generators()), value=None, label="Weights", elem_id="weights", scale=3)
        with gr.Tabs() as tabs:
            with gr.Tab(SAMPLES):
                sample_tab(library, weights)
            with gr.Tab(IMAGE):
                image_tab(library, weights)
            with gr.Tab(TRAINING):
                watch = training_tab(library, blocks)
            with gr.Tab(PAGES):
                reading_tab(library, blocks)

        def watching(chosen: gr.SelectData) -> Any:
            return gr.Timer(active=chosen.value == TRAINING)

        tabs.select(watching, None, watch, show_progress="hidden")
        blocks.load(lambda: _listed(library), None, weights, show_progress="hidden")
    return blocks


def _listed(library: Library) -> Any:
    names = list(library.generators())
    return gr.Dropdown(names, value=names[0] if names else None)

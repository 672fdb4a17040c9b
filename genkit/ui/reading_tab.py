"""The tab of pages that runs have left: explanations, galleries of directions, reports."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import gradio as gr

from genkit.ui.library import Library, chosen
from genkit.ui.markup import note
from genkit.ui.sample_tab import refusing

ADDRESS = "pages"
"""Below which the server gives them; see genkit.ui.server."""


def reading_tab(library: Library, blocks: gr.Blocks) -> None:
    """Builds the tab."""
    page = gr.Dropdown(list(library.pages()), value=None, label="Page", elem_id="page")
    shown = gr.HTML(elem_id="read")

    def read(name: str | None) -> str:
        if not name:
            return note("There is no page here yet: genkit explain, directions and train write some.")
        return refusing(lambda: framed(library, name))

    page.change(read, page, shown, show_progress="hidden")
    blocks.load(lambda: _listed(library), None, page, show_progress="hidden")


def framed(library: Library, name: str) -> str:
    """A frame with the page, and a link that opens it alone."""
    chosen(library.pages(), name)
    address = f"{ADDRESS}/{quote(name)}"
    link = f'<p class="note"><a href="{address}" target="_blank">open it alone</a></p>'
    return f'{link}<iframe class="reading" src="{address}" title="page" sandbox></iframe>'


def _listed(library: Library) -> Any:
    names = list(library.pages())
    return gr.Dropdown(names, value=names[0] if names else None)

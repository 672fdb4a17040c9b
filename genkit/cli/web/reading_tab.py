"""The tab of pages that runs have left: explanations, galleries of directions, reports."""

from __future__ import annotations

from urllib.parse import quote

import gradio as gr

from genkit.cli.web.library import Library, chosen
from genkit.cli.web.markup import note
from genkit.cli.web.sample_tab import refusing

ADDRESS = "pages"
"""Below which the server gives them; see genkit.cli.web.server."""


def reading_tab(library: Library) -> gr.Dropdown:
    """Builds the tab; returns the list of pages."""
    page = gr.Dropdown(list(library.pages()), value=None, label="Page", elem_id="page")
    shown = gr.HTML(elem_id="read")

    def read(name: str | None) -> str:
        if not name:
            return note("There is no page here yet: genkit explain, directions and train write some.")
        return refusing(lambda: framed(library, name))

    page.change(read, page, shown, show_progress="hidden")
    return page


def framed(library: Library, name: str) -> str:
    """A frame with the page, and a link that opens it alone."""
    chosen(library.pages(), name)
    address = f"{ADDRESS}/{quote(name)}"
    link = f'<p class="note"><a href="{address}" target="_blank">open it in a tab of its own</a></p>'
    return f'{link}<iframe class="reading" src="{address}" title="page" sandbox></iframe>'

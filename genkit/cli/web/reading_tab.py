"""The tab of pages that runs have left: explanations, galleries of directions, reports, renewed as their files are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import gradio as gr

from genkit.cli.web.library import Library, chosen
from genkit.cli.web.markup import note
from genkit.cli.web.sample_tab import refusing

ADDRESS = "pages"
"""Below which the server gives them; see genkit.cli.web.server."""
EVERY_S = 5.0
"""From one look at whether the page has changed to the next."""


def reading_tab(library: Library) -> tuple[gr.Timer, gr.Dropdown]:
    """Builds the tab; returns the timer, which stands until somebody looks, and the list of pages."""
    page = gr.Dropdown(list(library.pages()), value=None, label="Page", elem_id="page")
    shown = gr.HTML(elem_id="read")
    seen = gr.State("")
    timer = gr.Timer(EVERY_S, active=False)

    def read(name: str | None, seen: str) -> tuple[Any, str]:
        missing = note("There is no page here yet: genkit explain, directions and train write some.")
        made = refusing(lambda: framed(library, name)) if name else missing
        return (gr.skip() if made == seen else made), made

    gr.on([timer.tick, page.change], read, [page, seen], [shown, seen], show_progress="hidden")
    return timer, page


def framed(library: Library, name: str) -> str:
    """A frame with the page as it is now, and a link that opens it alone."""
    path = chosen(library.pages(), name)
    address = f"{ADDRESS}/{quote(name)}?{path.stat().st_mtime_ns if path.is_file() else 0}"
    link = f'<p class="note"><a href="{address}" target="_blank">open it in a tab of its own</a></p>'
    return f'{link}<iframe class="reading" src="{address}" title="page" sandbox></iframe>'

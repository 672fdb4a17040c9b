"""Pieces of HTML that the page shows; every text in them is escaped."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from genkit.cli.web.pictures import PagePicture
from genkit.images.pixels import data_url

WIDE = 640
"""Width in pixels that a small picture is enlarged to at most, by a whole factor."""

STYLE = Path(__file__).with_name("page.css")


def figure(drawn: PagePicture) -> str:
    """A picture with what it is, a link that saves it, and the command that makes it."""
    command = f"<pre>{escape(drawn.command)}</pre>" if drawn.command else ""
    return (
        f'<figure class="drawn">{picture(drawn.png, drawn.about)}<figcaption>{escape(drawn.about)} · '
        f'<a href="{data_url(drawn.png)}" download="genkit.png">save</a></figcaption>{command}</figure>'
    )


def picture(png: bytes, about: str) -> str:
    """The pixels of a PNG file as they are, small ones enlarged."""
    with Image.open(io.BytesIO(png)) as opened:
        width = opened.width
    shown = width * max(1, WIDE // width)
    return f'<img src="{data_url(png)}" alt="{escape(about, quote=True)}" style="width: {shown}px">'


def refusal(text: str) -> str:
    """A line that says why there is no picture."""
    return f'<p class="refused" role="alert">{escape(text)}</p>'


def note(text: str) -> str:
    """A quiet line."""
    return f'<p class="note">{escape(text)}</p>'


def numbers(values: Mapping[str, float]) -> str:
    """A table of names and numbers."""
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{value:.6g}</td></tr>" for name, value in values.items()
    )
    return f'<table class="numbers">{rows}</table>'


def curves(groups: Sequence[tuple[str, Sequence[tuple[str, str, str]]]]) -> str:
    """Charts, as `genkit.training.report.curves_of` gives them, under the names of their groups."""
    parts = []
    for name, charts in groups:
        parts.append(f"<h3>{escape(name or 'training')}</h3><div class='curves'>")
        for what, last, svg in charts:
            parts.append(
                f"<figure><figcaption><span>{escape(what)}</span><b>{escape(last)}</b></figcaption>{svg}</figure>"
            )
        parts.append("</div>")
    return "".join(parts)

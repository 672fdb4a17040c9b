"""Charts of matplotlib as inline SVG, stripped of their colours and fonts, which are the page's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "{http://www.w3.org/2000/svg}"
PATHS = f".//{SVG}g[@id='%s']/{SVG}path"


def canvas(size: tuple[int, int], margins: tuple[int, int, int, int]) -> tuple[Figure, Axes]:
    """A figure of (width, height) pixels with axes that have no frame, inside margins (left, right, top, bottom)."""
    from matplotlib.figure import Figure

    (width, height), (left, right, top, bottom) = size, margins
    figure = Figure((width / 72, height / 72))
    figure.patch.set_visible(False)
    place = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
    axes = figure.add_axes(place)
    axes.set_frame_on(False)
    axes.tick_params(bottom=False, left=False)
    return figure, axes


def label_ends(axes: Axes, labels: dict[float, str]) -> None:
    """Labels below the axis: the first begins at its number, the last ends there."""
    axes.set_xticks([*labels], [*labels.values()])
    texts = axes.get_xticklabels()
    texts[0].set_horizontalalignment("left")
    texts[-1].set_horizontalalignment("right")


def inline(figure: Figure, classes: Sequence[str], attributes: dict[str, str] | None = None) -> str:
    """The drawings with a `gid` among `classes`, as paths of that CSS class, lowest layer first, and its text.

    The same figure gives the same bytes.

    Args:
        attributes: of the svg element, such as an aria-label.
    """
    from matplotlib import rc_context

    file = StringIO()
    with rc_context({"svg.fonttype": "none", "path.simplify": False}):
        figure.savefig(file, format="svg")
    root = ElementTree.fromstring(file.getvalue())
    parts = [
        f'<path class="{c}" d="{_short(path.get("d", ""))}"/>' for c in classes for path in root.iterfind(PATHS % c)
    ]
    for text in root.iter(f"{SVG}text"):
        anchor = text.get("style", "").rpartition("text-anchor: ")[2]
        x, y = (f"{float(text.get(name, 0)):.1f}" for name in "xy")
        parts.append(f'<text text-anchor="{anchor}" x="{x}" y="{y}">{escape(text.text or "")}</text>')
    width, height = (f"{72 * inches:g}" for inches in figure.get_size_inches())
    more = "".join(f" {name}={quoteattr(value)}" for name, value in (attributes or {}).items())
    return f'<svg viewBox="0 0 {width} {height}" role="img"{more}>{"".join(parts)}</svg>'


def _short(path: str) -> str:
    """Tenths of a pixel, and no spaces but between the two numbers of a point."""
    path = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", path.strip())

"""A small line chart as inline SVG: drawn by matplotlib, stripped of its colours, which are the page's."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 400, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 8, 22
COLUMNS = 240
"""Points that a line has at most; more are drawn as the mean and the range of each of so many stretches."""

CLASSES = ("rule", "band", "line", "dots")
"""CSS classes of the page's style, the lowest layer first."""

SVG = "{http://www.w3.org/2000/svg}"
PATHS = f".//{SVG}g[@id='%s']/{SVG}path"


@dataclass(frozen=True)
class Curve:
    """A number over the iterations; values that are not finite leave gaps."""

    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> str:
        return label(self.points[-1][1])

    @cached_property
    def finite(self) -> list[tuple[float, float]]:
        return [(x, y) for x, y in self.points if math.isfinite(y)]

    @cached_property
    def stretches(self) -> list[tuple[float, float, float, float]]:
        """(x, mean, lowest, highest) of each stretch."""
        size = -(-len(self.finite) // COLUMNS) or 1
        parts = [self.finite[i : i + size] for i in range(0, len(self.finite), size)]
        return [
            (part[-1][0], sum(y for _, y in part) / len(part), min(y for _, y in part), max(y for _, y in part))
            for part in parts
        ]


def draw(curve: Curve, dots: bool = False) -> str:
    """The chart; `dots` marks every point, for the few scores of a run."""
    if not curve.finite:
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}"><text x="{WIDTH // 2}" y="{HEIGHT // 2}">not finite</text></svg>'
    from matplotlib.figure import Figure

    figure = Figure((WIDTH / 72, HEIGHT / 72))
    figure.patch.set_visible(False)
    axes, (xs, means, lows, highs) = _axes(figure, curve), zip(*curve.stretches, strict=True)
    if len(curve.finite) > COLUMNS:
        axes.fill_between(xs, lows, highs, gid="band", clip_on=False)
    axes.plot(xs, means, gid="line", clip_on=False)
    if dots or len(curve.finite) == 1:
        axes.vlines(xs, means, means, gid="dots", clip_on=False)
    return _inline(figure)


def _axes(figure: Figure, curve: Curve) -> Axes:
    """From iteration 0 to the last, from below the lowest value to above the highest, with a rule at every tick."""
    ys, last = [y for _, y in curve.finite], max(x for x, _ in curve.finite)
    ticks = nice_ticks(min(ys), max(ys))
    axes = figure.add_axes((LEFT / WIDTH, BOTTOM / HEIGHT, 1 - (LEFT + RIGHT) / WIDTH, 1 - (TOP + BOTTOM) / HEIGHT))
    axes.set_frame_on(False)
    axes.set(xlim=(0, last or 1), ylim=(min(ticks[0], *ys), max(ticks[-1], *ys)))
    axes.set_yticks(ticks, list(map(label, ticks)))
    axes.set_xticks([0, last], ["0", f"{last:,.0f}"])
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[1].set_horizontalalignment("right")
    axes.tick_params(bottom=False, left=False)
    axes.grid(axis="y", gid="rule")
    return axes


def _inline(figure: Figure) -> str:
    """Lines by their class and text by its anchor: colours, fonts and widths are the page's."""
    from matplotlib import rc_context

    file = StringIO()
    with rc_context({"svg.fonttype": "none", "path.simplify": False}):
        figure.savefig(file, format="svg")
    root = ElementTree.fromstring(file.getvalue())
    parts = [
        f'<path class="{c}" d="{_short(path.get("d", ""))}"/>' for c in CLASSES for path in root.iterfind(PATHS % c)
    ]
    for text in root.iter(f"{SVG}text"):
        anchor = text.get("style", "").rpartition("text-anchor: ")[2]
        place = f'text-anchor="{anchor}" x="{text.get("x")}" y="{text.get("y")}"'
        parts.append(f"<text {place}>{escape(text.text or '')}</text>")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def _short(path: str) -> str:
    """Tenths of a pixel, and no spaces but between the two numbers of a point."""
    path = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", path.strip())


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers, at most 6, that reach from at most `low` to at least `high`."""
    from matplotlib.ticker import MaxNLocator

    if low == high:
        low, high = low - abs(low or 1) / 2, high + abs(high or 1) / 2
    return list(map(float, MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)))


def label(value: float) -> str:
    """A number in few characters: 0.25, 1,200, 3.1e-07."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:.1e}"

"""A small line chart of a number over the iterations, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from genkit.images.svg import canvas, inline, label_ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 400, 190
MARGINS = (50, 10, 8, 22)
"""Left, right, top, bottom."""
COLUMNS = 240
"""Points that a line has at most; more are drawn as the mean and the range of each of so many stretches."""

CLASSES = ("rule", "band", "line", "dots")
"""CSS classes of the page's style, the lowest layer first."""


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
    figure, axes = canvas((WIDTH, HEIGHT), MARGINS)
    _scale(axes, curve)
    xs, means, lows, highs = zip(*curve.stretches, strict=True)
    if len(curve.finite) > COLUMNS:
        axes.fill_between(xs, lows, highs, gid="band", clip_on=False)
    axes.plot(xs, means, gid="line", clip_on=False)
    if dots or len(curve.finite) == 1:
        axes.vlines(xs, means, means, gid="dots", clip_on=False)
    return inline(figure, CLASSES)


def _scale(axes: Axes, curve: Curve) -> None:
    """From iteration 0 to the last, from below the lowest value to above the highest, with a rule at every tick."""
    ys, last = [y for _, y in curve.finite], max(x for x, _ in curve.finite)
    ticks = nice_ticks(min(ys), max(ys))
    axes.set(xlim=(0, last or 1), ylim=(min(ticks[0], *ys), max(ticks[-1], *ys)))
    axes.set_yticks(ticks, list(map(label, ticks)))
    label_ends(axes, {0: "0", last: f"{last:,.0f}"})
    axes.grid(axis="y", gid="rule")


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

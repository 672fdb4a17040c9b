"""A small line chart as inline SVG: no library, no script, colours from the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 20
COLUMNS = 240
"""Points that a line has at most; more are drawn as the mean and the range of each of so many stretches."""


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
    xs, ys = [x for x, _ in curve.finite], [y for _, y in curve.finite]
    ticks = nice_ticks(min(ys), max(ys))
    frame = _Frame(0.0, max(xs), min(ticks[0], *ys), max(ticks[-1], *ys))
    parts = [*_grid(frame, ticks), *_band(frame, curve), _line(frame, curve)]
    if dots or len(curve.finite) == 1:
        parts += [f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5"/>' for x, y in curve.finite]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


@dataclass(frozen=True)
class _Frame:
    """Where data coordinates lie in the picture."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / ((self.high - self.low) or 1) * (HEIGHT - TOP - BOTTOM)


def _grid(frame: _Frame, ticks: Sequence[float]) -> Iterator[str]:
    for tick in ticks:
        y = frame.y(tick)
        yield f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="y" x="{LEFT - 6}" y="{y + 3.5:.1f}">{label(tick)}</text>'
    for step in (frame.left, frame.right):
        side = "end" if step else "start"
        yield f'<text text-anchor="{side}" x="{frame.x(step):.1f}" y="{HEIGHT - 5}">{step:,.0f}</text>'


def _band(frame: _Frame, curve: Curve) -> Iterator[str]:
    if len(curve.finite) > COLUMNS:
        top = [f"{frame.x(x):.1f} {frame.y(high):.1f}" for x, _, _, high in curve.stretches]
        bottom = [f"{frame.x(x):.1f} {frame.y(low):.1f}" for x, _, low, _ in reversed(curve.stretches)]
        yield f'<path class="band" d="M{"L".join(top + bottom)}Z"/>'


def _line(frame: _Frame, curve: Curve) -> str:
    return (
        f'<path class="line" d="M{"L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y, _, _ in curve.stretches)}"/>'
    )


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers, at most `count` + 2, that reach from at most `low` to at least `high`."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * count >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def label(value: float) -> str:
    """A number in few characters: 0.25, 1,200, 3.1e-07."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:.1e}"

"""Small drawings of numbers as SVG, which stand inside a page and take its colours."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import torch
from torch import Tensor

from genkit.explain.words import percent

BINS = 31
"""Of a histogram, with the zero in the middle of one."""


def histogram(effects: Tensor) -> str:
    """The effects (N,) on single images: how many are how large, with a mark at zero and at the median."""
    reach = float(effects.abs().max().clamp_min(1e-6))
    counts = torch.histc(effects.float(), BINS, -reach, reach)
    width, tall, zero = 260 / BINS, 46, 130
    bars = [
        f'<rect class="{"for" if i > BINS // 2 else "none" if i == BINS // 2 else "against"}" x="{i * width:.1f}" '
        f'y="{52 - height:.1f}" width="{width - 1:.1f}" height="{height:.1f}"/>'
        for i, height in enumerate((counts / counts.max() * tall).tolist())
        if height
    ]
    ends = [(0, "start", -reach), (260, "end", reach)]
    texts = [f'<text x="{x}" y="66" text-anchor="{anchor}">{signed(v)}</text>' for x, anchor, v in ends]
    middle = (
        f'<line class="rule" x1="0" x2="260" y1="52.5" y2="52.5"/><text x="{zero}" y="66" text-anchor="middle">0</text>'
    )
    told = f"Effects from {signed(float(effects.min()))} to {signed(float(effects.max()))}"
    return f'<svg viewBox="0 0 260 70" role="img" aria-label="{told}">{"".join(bars)}{middle}{"".join(texts)}</svg>'


def track(before: float, after: float) -> str:
    """A probability before and after, as an arrow on a line from 0 to 1."""
    a, b = 4 + 112 * before, 4 + 112 * after
    tip = 5 if b >= a else -5
    arrow = f'<line class="move" x1="{a:.1f}" x2="{b - tip:.1f}" y1="7" y2="7"/>' if abs(b - a) > 6 else ""
    head = f'<path class="tip" d="M{b:.1f} 7 l{-tip} -4 v8 z"/>' if abs(b - a) > 6 else ""
    return (
        f'<svg class="track" viewBox="0 0 120 14" role="img" aria-label="from {percent(before)} to {percent(after)}">'
        f'<line class="rule" x1="4" x2="116" y1="7" y2="7"/><circle class="from" cx="{a:.1f}" cy="7" r="3"/>'
        f"{arrow}{head}</svg>"
    )


def curves(chosen: Sequence[float], random: Sequence[float], only_probabilities: float) -> str:
    """The share of images flipped by the top 1, 2, ... together, beside random ones and the probabilities alone."""
    n = max(len(chosen), len(random), 2)
    lines = [f'<line class="rule" x1="52" x2="400" y1="{_y(s)}" y2="{_y(s)}"/>' for s in (0, 0.5, 1)]
    lines += [f'<text x="44" y="{_y(s) + 4}" text-anchor="end">{percent(s)}</text>' for s in (0, 0.5, 1)]
    lines += [f'<text x="{_x(i, n):.1f}" y="196" text-anchor="middle">{i + 1}</text>' for i in range(n)]
    if not isnan(only_probabilities):
        alone = _y(only_probabilities)
        lines.append(f'<line class="alone" x1="52" x2="400" y1="{alone}" y2="{alone}"/>')
    for name, shares in (("random", random), ("chosen", chosen)):
        places = [(f"{_x(i, n):.1f}", _y(share)) for i, share in enumerate(shares) if not isnan(share)]
        lines.append(f'<polyline class="{name}" points="{" ".join(f"{x},{y}" for x, y in places)}"/>')
        lines += [f'<circle class="{name}" cx="{x}" cy="{y}" r="3"/>' for x, y in places]
    told = f"Share flipped: {', '.join(map(percent, chosen))}; at random: {', '.join(map(percent, random))}"
    return f'<svg class="curves" viewBox="0 0 410 204" role="img" aria-label="{told}">{"".join(lines)}</svg>'


def _x(i: int, n: int) -> float:
    return 68 + 318 * i / (n - 1)


def _y(share: float) -> float:
    return round(176 - 164 * share, 1)


def signed(value: float) -> str:
    """+1.2, or -0.3 with a minus sign."""
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}")

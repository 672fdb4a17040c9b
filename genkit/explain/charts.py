"""Small drawings of numbers as SVG, which stand inside a page and take its colours."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import torch
from torch import Tensor

from genkit.explain.words import percent
from genkit.images.svg import canvas, inline, label_ends

BINS = 31
"""Of a histogram, with the zero in the middle of one."""
SIGNS = ("against", "none", "for")
ROOM = 6
"""Pixels from which on an arrow can be seen."""
CURVES = ("rule", "alone", "random", "random dots", "chosen", "chosen dots")
"""CSS classes of the page's style, the lowest layer first."""


def histogram(effects: Tensor) -> str:
    """The effects (N,) on single images: how many are how large, with a mark at zero and at both ends."""
    reach = float(effects.abs().max().clamp_min(1e-6))
    counts = torch.histc(effects.float(), BINS, -reach, reach)
    width = 2 * reach / BINS
    figure, axes = canvas((260, 70), (0, 0, 6, 18))
    for sign, bins in zip(SIGNS, (range(BINS // 2), [BINS // 2], range(BINS // 2 + 1, BINS)), strict=True):
        filled = [i for i in bins if counts[i]]
        axes.bar([(i - BINS // 2) * width for i in filled], counts[filled].tolist(), 0.88 * width, gid=sign)
    axes.axhline(0, gid="rule")
    axes.set(xlim=(-reach, reach), ylim=(0, counts.max().item()), yticks=[])
    label_ends(axes, {-reach: signed(-reach), 0: "0", reach: signed(reach)})
    said = f"Effects from {signed(float(effects.min()))} to {signed(float(effects.max()))}"
    return inline(figure, ("rule", *SIGNS), {"aria-label": said})


def track(before: float, after: float) -> str:
    """A probability before and after, as an arrow on a line from 0 to 1, or a stroke where that has no room: of the
    page's text, not a chart."""
    a, b = 4 + 112 * before, 4 + 112 * after
    tip = 5 if b >= a else -5
    arrow = f'<line class="move" x1="{a:.1f}" x2="{b - tip:.1f}" y1="7" y2="7"/>' if abs(b - a) > ROOM else ""
    head = f'<path class="tip" d="M{b:.1f} 7 l{-tip} -4 v8 z"/>' if arrow else ""
    if not arrow and abs(b - a) >= 1:
        head = f'<path class="tip" d="M{b - 1:.1f} 1 h2 v12 h-2 z"/>'
    return (
        f'<svg class="track" viewBox="0 0 120 14" role="img" aria-label="from {percent(before)} to {percent(after)}">'
        f'<line class="rule" x1="4" x2="116" y1="7" y2="7"/><circle class="from" cx="{a:.1f}" cy="7" r="3"/>'
        f"{arrow}{head}</svg>"
    )


def curves(chosen: Sequence[float], random: Sequence[float], alone: float) -> str:
    """The share of images flipped by the top 1, 2, ... together, beside random ones and the probabilities alone."""
    n = max(len(chosen), len(random), 2)
    figure, axes = canvas((410, 204), (52, 10, 12, 28))
    if not isnan(alone):
        axes.axhline(alone, gid="alone", clip_on=False)
    for name, shares in (("random", random), ("chosen", chosen)):
        known = {i + 1: share for i, share in enumerate(shares) if not isnan(share)}
        axes.plot([*known], [*known.values()], gid=name, clip_on=False)
        axes.vlines([*known], [*known.values()], [*known.values()], gid=f"{name} dots", clip_on=False)
    axes.set(xlim=(0.85, n + 0.15), ylim=(0, 1), xticks=range(1, n + 1))
    axes.set_yticks((0, 0.5, 1), [percent(share) for share in (0, 0.5, 1)])
    axes.grid(axis="y", gid="rule")
    said = f"Share flipped: {', '.join(map(percent, chosen))}; at random: {', '.join(map(percent, random))}"
    return inline(figure, CURVES, {"class": "curves", "aria-label": said})


def signed(value: float) -> str:
    """+1.2, or -0.3 with a minus sign."""
    return f"{value:+.2g}".replace("-", "\N{MINUS SIGN}")

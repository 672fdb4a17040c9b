"""An explanation made by hand of rendered shapes, whose every change is exact: no network has a part in it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from genkit.data.shapes import factors, rendered
from genkit.explain.explanation import Attribute, Checks, ExampleImages, Explanation

SMALL, LARGE = 0, 1
SPREAD = {"size": 0.1155, "hue": 0.29, "background": 0.101, "rotation": 0.144}
"""Deviation of a factor of the data set `shapes`."""


def logit(known: Mapping[str, Tensor]) -> Tensor:
    """(n,) of "large": the soft rule that the classifiers of shapes learn."""
    return 3 * (known["size"] - 0.5) / SPREAD["size"]


def moved(known: Mapping[str, Tensor], by: Mapping[str, float]) -> dict[str, Tensor]:
    """`known` with factors moved by so many of their deviations, kept in the range that shapes have."""
    change = {name: known[name] + SPREAD[name] * amount for name, amount in by.items()}
    if "size" in change:
        change["size"] = change["size"].clamp(0.25, 0.75)
    return {**known, **change, "hue": change.get("hue", known["hue"]) % 1}


def explanation(
    size: int = 32,
    shown: int = 3,
    reasons: tuple[str, ...] = (),
    classes: tuple[str, ...] = ("small", "large"),
    measured: bool = True,
) -> Explanation:
    """Three attributes for each of two classes; the first moves the size by 1.2 deviations, the last hardly."""
    known = factors(60, 0.0, 7)
    changes = ({"size": 1.2, "hue": 0.05}, {"size": 0.7, "background": -0.4}, {"rotation": 1.1, "size": 0.1})
    attributes: dict[int, list[Attribute]] = {}
    examples: dict[int, list[ExampleImages]] = {}
    for target, way in ((SMALL, -1), (LARGE, 1)):
        others = {name: rows[way * logit(known) < 0] for name, rows in known.items()}
        attributes[target], examples[target] = [], []
        for i, change in enumerate(changes):
            by = {name: amount * way if name == "size" else amount for name, amount in change.items()}
            attributes[target].append(_attribute(i, target, way, others, by, measured))
            examples[target].append(_examples({k: v[: shown + 3][3:] for k, v in others.items()}, by, way, size))
    curve = {SMALL: [0.31, 0.55, 0.74, 0.8, 0.87, 0.9, 0.92, 0.95, 0.97, 0.98], LARGE: [0.26, 0.54, 0.725, 0.8, 0.89]}
    chance = {t: [0.002 * (i + 1) for i in range(len(c))] for t, c in curve.items()}
    checks = Checks(0.15, 0.42, 0.975, list(reasons))
    settings = {"shift": 1.0, "coordinates": 272, "selection": "algorithm1", "threshold": 1.0}
    data = {"name": "shapes/test", "fingerprint": "0123456789abcdef" * 4, "n": 250}
    told = {SMALL: 0.93, LARGE: 0.89}
    return Explanation(classes, attributes, examples, curve, chance, 0.91, checks, settings, data, alone=told)


def _attribute(
    i: int, target: int, way: int, known: Mapping[str, Tensor], by: Mapping[str, float], measured: bool
) -> Attribute:
    rng = torch.Generator().manual_seed(i)
    exact = way * (logit(moved(known, by)) - logit(known))
    effects = exact + 0.4 * torch.randn(len(exact), generator=rng)
    moves = {name: by.get(name, 0.02) for name in ("size", "hue", "background")} if measured else {}
    return Attribute("b8.conv1", 17 * i + 3, 103 + i, int(way > 0), target, float(effects.mean()), effects, moves)


def _examples(known: Mapping[str, Tensor], by: Mapping[str, float], way: int, size: int) -> ExampleImages:
    after = moved(known, by)
    original, changed = rendered(known, size), rendered(after, size)
    redrawn = (original.float() + 6 * torch.randn(original.shape, generator=torch.Generator().manual_seed(1))).clamp(
        0, 255
    )
    images = torch.stack([original, redrawn.to(torch.uint8), changed], 1)
    odds = [(way * logit(k)).sigmoid() for k in (known, after)]
    assert math.isfinite(float(odds[1].sum()))
    return ExampleImages(images, odds[0], odds[1])

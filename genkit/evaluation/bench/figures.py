"""Pictures of a bench: samples, their nearest training images, and plots."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.nearest import nearest
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.reading import Reader
from genkit.evaluation.sources import Source
from genkit.images.grid import grid
from genkit.images.pixels import png_bytes, resize, to_channels
from genkit.images.scatter import points_png

Value = tuple[float, float | None, float | None]
"""A mean and the ends of its interval."""

PlottedPoint = tuple[str, Value, Value]
"""Name, x and y."""

SAMPLES, QUERIES, NEIGHBOURS = 64, 8, 3
AT_ONCE = 16
"""Samples of a generator that a process makes at a time."""


def first_samples(source: Source, n: int, seed: int, crew: Crew = ALONE) -> list[Tensor]:
    """The first n samples of a draw, one tensor each; a generator's are made by the processes of `crew` together."""
    if source.share is None:
        return [sample for batch in source.batches(n, seed, n) for sample in batch.cpu()][:n]
    made = {(k * crew.count + crew.rank): x.cpu() for k, x in enumerate(source.share(range(n), n, seed, AT_ONCE, crew))}
    return [sample for batch in crew.gathered(made) for sample in batch][:n]


def sample_picture(samples: Sequence[Tensor]) -> bytes:
    """A grid of images, or a scatter plot of points, as PNG."""
    if samples[0].dim() == 1:
        return points_png(torch.stack(list(samples))[:, :2])
    return png_bytes(grid(_alike(samples)))


def neighbour_picture(
    samples: Sequence[Tensor], training: Source, extractor: Extractor, n: int, seed: int, crew: Crew = ALONE
) -> bytes:
    """A row for each of the first samples: the sample, then its nearest training images, nearest first.

    Nearest in the extractor's features among n training images; a copy would look like its neighbour.
    """
    queries = list(samples[:QUERIES])
    features = torch.cat([extractor(q[None]).features for q in queries])
    train = Reader(extractor, n, seed, 64, True, None, [training], crew).features(training)
    found, _ = nearest(features, train.features, NEIGHBOURS)
    pictures = _pick(training, n, seed, found)
    return png_bytes(grid(_alike([image for q, row in zip(queries, pictures, strict=True) for image in (q, *row)]), 4))


def _pick(source: Source, n: int, seed: int, index: Tensor) -> list[list[Tensor]]:
    """Samples of a draw by their positions, (q, k)."""
    wanted, position = set(index.flatten().tolist()), 0
    kept: dict[int, Tensor] = {}
    for batch in source.batches(n, seed, 64):
        kept.update({position + i: batch[i].cpu() for i in range(len(batch)) if position + i in wanted})
        position += len(batch)
    return [[kept[i] for i in row] for row in index.tolist()]


def _alike(images: Sequence[Tensor]) -> Tensor:
    """Images of any size as one batch, of the first one's size and the most channels."""
    channels, size = max(len(i) for i in images), images[0].shape[-2:]
    return torch.cat([_fit(to_channels(image[None], channels), size) for image in images])


def _fit(image: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    side = max(size)
    return resize(image, side)[..., : size[0], : size[1]]


def plots(entries: Sequence[dict[str, Any]], cost: str) -> dict[str, bytes]:
    """Title -> PNG: the distance against cost, and precision against recall, where there are both."""
    found = {}
    costs = [e for e in entries if e["cost"] is not None and "fd" in e["summary"]]
    if costs:
        label = costs[0]["summary"]["fd"]["label"]
        points: list[PlottedPoint] = [(e["name"], (e["cost"], None, None), _value(e, "fd")) for e in costs]
        found[f"{label} against cost"] = scatter(points, cost, label)
    pairs = [e for e in entries if {"precision", "recall"} <= e["summary"].keys()]
    if pairs:
        points = [(e["name"], _value(e, "recall"), _value(e, "precision")) for e in pairs]
        found["precision against recall"] = scatter(points, "recall", "precision")
    return found


def _value(entry: dict[str, Any], metric: str) -> Value:
    summary = entry["summary"][metric]
    return summary["mean"], summary["low"], summary["high"]


def _bar(value: Value) -> list[list[float]] | None:
    """Lengths of an error bar below and above."""
    mean, low, high = value
    return None if low is None or high is None else [[mean - low], [high - mean]]


def scatter(points: Sequence[PlottedPoint], x: str, y: str) -> bytes:
    """Named points with error bars, drawn without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, across, up in points:
        axes.errorbar(across[0], up[0], xerr=_bar(across), yerr=_bar(up), fmt="o", capsize=3, label=name)
    axes.set(xlabel=x, ylabel=y)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()

"""Lines about two sides by which their scores are to be read: too few samples, the same samples, none that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genkit.core.fingerprint import described_fingerprint
from genkit.evaluation.metrics.metric import Sides
from genkit.evaluation.metrics.neighbours import Neighbours
from genkit.evaluation.metrics.scores_by_name import metric_named
from genkit.evaluation.scores import ScoredSide
from genkit.evaluation.sources import Source
from genkit.evaluation.statistics_file import Statistics

SAME, EXACT = 0.02, 1e-6
"""Deviations within which samples are equal: but for rounding to 8 bits, and of points, which are not rounded."""
ROUNDED = 4
"""Features from which on they may be those of images; points have fewer, and near neighbours among others."""
LOOKED_AT, DIFFERENT = 64, 8
"""Samples whose like is looked for, and of them that must differ."""


def of_sides(
    real: ScoredSide, fake: ScoredSide, n: int, dim: int, names: Sequence[str], channels: int | None
) -> Iterator[str]:
    """Lines about two sides whose features have `dim` numbers, of which n samples each were asked for.

    Args:
        names: of the metrics.
        channels: of the images that the extractor takes; None takes any.
    """
    for side in (fake, real):
        yield from too_few(side.name, side.n, dim, n, side.kind)
        if side.rank == 0 and (side.n or 0) > 1:
            yield f"{side.name}: all samples are alike to the extractor: none of its features varies"
    if real.n != fake.n and any(isinstance(metric_named(name), Neighbours) for name in names):
        yield f"{fake.n} samples against {real.n}: precision, recall and their kin depend on both numbers"
    yield from _channels(real, fake, channels)
    if fake.fingerprint and fake.fingerprint == real.fingerprint:
        yield "both sides are the same data"


def of_samples(real: Source | Statistics, fake: Source | Statistics, features: Sides) -> Iterator[str]:
    """A line where a generator is scored against its own samples."""
    made = [side.generator for side in (real, fake) if isinstance(side, Source) and side.generator is not None]
    if len(made) == 2 and described_fingerprint(made[0]) == described_fingerprint(made[1]):
        yield "both sides are samples of the same weights by the same seed: distances of 0 say nothing of the generator"
    elif made and _alike(features):
        yield "both sides are the same samples: distances of 0 say nothing of the generator"


def too_few(name: str, have: int | None, dim: int, asked: int, kind: str = "") -> Iterator[str]:
    """Lines about a side of `have` samples."""
    if have is None:
        return
    if have < asked and kind != "statistics":
        yield f"{name}: {have} samples instead of {asked}"
    if have <= dim:
        yield f"{name}: {have} samples for {dim} dimensions; distances are biased upwards"


def _alike(features: Sides) -> bool:
    """Whether both sides hold the same samples, but for rounding, in any order: some of each have their like among the
    other's."""
    if not features.of_samples or len(features.real.features) != len(features.fake.features):
        return False
    real, fake = (side.features.double() for side in (features.real, features.fake))
    near = (SAME if real.shape[1] >= ROUNDED else EXACT) * real.var(0).sum().sqrt()
    if (real.mean(0) - fake.mean(0)).norm() > near or len(fake[:LOOKED_AT].unique(dim=0)) < DIFFERENT:
        return False
    return all(bool((_nearest(one[:LOOKED_AT], other) <= near).all()) for one, other in ((fake, real), (real, fake)))


def _nearest(rows: Tensor, others: Tensor) -> Tensor:
    """The distance of each of `rows` from the nearest of `others`."""
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist").amin(1)


def _channels(real: ScoredSide, fake: ScoredSide, wanted: int | None) -> list[str]:
    """A line where grey images are compared with colour ones, or colour is not looked at."""
    kinds = {(1,): "grey", (3,): "in colour", (1, 3): "partly grey and partly in colour"}
    found = [kinds.get(tuple(side.notes.get("channels", ()))) for side in (fake, real)]
    if wanted is None or None in found or set(found) == {"grey"} or (wanted == 3 and set(found) == {"in colour"}):
        return []
    seen = "grey ones are compared with three equal channels" if wanted == 3 else "of colour the luminance alone counts"
    if found[0] == found[1]:
        return [f"images of {fake.name} and {real.name} are {found[0]}: {seen}"]
    return [f"images of {fake.name} are {found[0]}, those of {real.name} {found[1]}: {seen}"]

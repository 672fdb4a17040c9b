"""Scores from nearest neighbours: precision and recall, density and coverage, authenticity.

A sample lies inside a ball when its distance is <= the radius, as in the papers; `<` gives 0 on tied features.
Sets are (n, d) and (m, d), finite, of at least k + 2 rows each; all else raises EvaluationError.
Distances come from one matrix product of centred float64 features; a pair too close to the radius for that is measured
again from its difference, so ties are decided exactly. Memory is a block of rows, never n x n.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.core.nearest import nearest
from genkit.evaluation.functional.matrices import Features, as_pair

BLOCK = 512
"""Rows of the distance matrix held at a time."""
_PAIR_NUMBERS = 2**22
_ROUNDING = 1e-12


@dataclass(frozen=True)
class NeighbourScores:
    """One pass over all pairs.

    Attributes:
        precision, recall: Kynkaanniemi et al. 2019, eq. 2, with `k_precision` neighbours.
        density, coverage: Naeem et al. 2020, eqs. 3 and 4, with `k_density` neighbours.
        authenticity: Alaa et al. 2022, percent of fakes that are no copies.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    authenticity: float


def precision_recall(real: Features, fake: Features, k: int = 3) -> tuple[float, float]:
    """Share of fakes inside some real ball, and of reals inside some fake ball, both in [0, 1].

    A ball reaches from a sample to its k-th nearest other sample of the same set; the rule is distance <= radius.
    """
    scores = neighbour_scores(real, fake, k, k)
    return scores.precision, scores.recall


def density_coverage(real: Features, fake: Features, k: int = 5) -> tuple[float, float]:
    """Mean number of real balls around a fake over k (can exceed 1), and share of real balls that hold a fake."""
    scores = neighbour_scores(real, fake, k, k)
    return scores.density, scores.coverage


def authenticity(real: Features, fake: Features) -> float:
    """Percent of fakes whose nearest real sample lies farther from them than from its own nearest real neighbour."""
    return neighbour_scores(real, fake, 1, 1).authenticity


def neighbour_scores(real: Features, fake: Features, k_precision: int = 3, k_density: int = 5) -> NeighbourScores:
    """All five scores from one set of distances."""
    k = max(k_precision, k_density)
    if min(k_precision, k_density) < 1:
        raise EvaluationError(f"the number of neighbours must be at least 1, got {min(k_precision, k_density)}")
    x, y = as_pair(real, fake, k + 2, f" for k = {k} neighbours (k + 2)")
    reals, fakes = Cloud.around(x, x.mean(0)), Cloud.around(y, x.mean(0))
    return _score(reals, fakes, reals.radii(k), fakes.radii(k), k_precision, k_density)


@dataclass(frozen=True)
class Cloud:
    """Points as given, for exact differences, and centred, for products without the rounding of large offsets."""

    points: Tensor
    centred: Tensor
    norms: Tensor

    @classmethod
    def around(cls, points: Tensor, centre: Tensor) -> Cloud:
        centred = points - centre
        return cls(points, centred, centred.square().sum(1))

    def to(self, other: Cloud) -> Iterator[tuple[slice, Tensor]]:
        """Squared distances of blocks of these rows to all of `other`, to rounding of the norms."""
        for start in range(0, len(self.points), BLOCK):
            rows = slice(start, min(start + BLOCK, len(self.points)))
            inner = torch.addmm(other.norms[None], self.centred[rows], other.centred.T, alpha=-2)
            yield rows, inner.add_(self.norms[rows, None]).clamp_(min=0)

    def radii(self, k: int) -> Tensor:
        """Exact squared distances to the k nearest other points, ascending, (n, k)."""
        own = torch.arange(len(self.points), device=self.points.device)
        return nearest(self.points, self.points, k, owners=(own, own))[1]


def _score(
    reals: Cloud, fakes: Cloud, real_radii: Tensor, fake_radii: Tensor, k_precision: int, k_density: int
) -> NeighbourScores:
    """The scores, given squared radii of (n, k) and (m, k)."""
    inclusions, in_real, authentic = 0, [], []
    covered = torch.zeros(len(reals.points), dtype=torch.bool, device=reals.points.device)
    filled = covered.clone()
    for rows, squared in fakes.to(reals):
        block = Cloud(fakes.points[rows], fakes.centred[rows], fakes.norms[rows])
        in_real.append(_inside(squared, real_radii[None, :, k_precision - 1], block, reals).any(1))
        covered |= _inside(squared, fake_radii[rows, k_precision - 1, None], block, reals).any(0)
        balls = _inside(squared, real_radii[None, :, k_density - 1], block, reals)
        filled |= balls.any(0)
        inclusions += int(balls.sum())
        closest = _closest(squared, block, reals)
        authentic.append((block.points - reals.points[closest]).square().sum(1) > real_radii[closest, 0])
    return NeighbourScores(
        precision=_share(torch.cat(in_real)),
        recall=_share(covered),
        density=inclusions / (k_density * len(fakes.points)),
        coverage=_share(filled),
        authenticity=100 * _share(torch.cat(authentic)),
    )


def _closest(squared: Tensor, fakes: Cloud, reals: Cloud) -> Tensor:
    """The nearest real of each fake, (b,), of equally near ones the first; what rounding may hide is measured again."""
    least, closest = squared.min(1)
    rounding = 2 * _ROUNDING * (fakes.norms + reals.norms.max())
    tied = ((squared <= (least + rounding)[:, None]).sum(1) > 1).nonzero().flatten()
    closest[tied] = nearest(fakes.points[tied], reals.points, 1)[0][:, 0]
    return closest


def _inside(squared: Tensor, radius: Tensor, fakes: Cloud, reals: Cloud) -> Tensor:
    """squared <= radius, (b, n); pairs within rounding of the radius are measured again."""
    inside = squared <= radius
    rounding = _ROUNDING * (fakes.norms[:, None] + reals.norms.max())
    doubtful = ((squared - radius).abs_() <= rounding).nonzero()
    for pairs in doubtful.split(max(1, _PAIR_NUMBERS // reals.points.shape[1])):
        i, j = pairs.unbind(1)
        exact = (fakes.points[i] - reals.points[j]).square().sum(1)
        inside[i, j] = exact <= radius.expand_as(squared)[i, j]
    return inside


def _share(flags: Tensor) -> float:
    return flags.double().mean().item()

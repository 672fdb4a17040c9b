"""Ranking of the samples of a data set from junk to good, by weights of robust optimal transport.

Balaji et al. 2020, arXiv:2010.05862. Samples that the generator finds hard get a low weight; these need not be
the foreign ones: noise is found, digits among clothes are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeGuard

import torch
from torch import Tensor

from genkit.core.chi_square import closed_form, deviation, normalised, rho_of_share
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError
from genkit.core.progress import Progress
from genkit.evaluation.csv_file import write_csv

AT_ONCE = 250
NOISE = 65
"""Images of noise by which a ranking is tried where none were planted."""
MOST = 0.75
"""Share of the noise that has to come early."""
AMONG_FIRST = 0.05
"""Share of the rows among which noise has to come; more where more may be junk."""


class Game(Protocol):
    """A trained critic and the weighting of its real samples, see genkit.gan.gan.GANTraining."""

    generator: Any
    critic: Any
    real_weighting: Any


def is_game(system: Any) -> TypeGuard[Game]:
    return all(hasattr(system, name) for name in ("generator", "critic", "real_weighting"))


@dataclass(frozen=True)
class Ranking:
    """Weights and scores of the rows of a data set.

    Attributes:
        weight: (N,) of mean one; 0 is junk.
        score: (N,) by the critic, high for samples that the generator does not make.
        by: source of the weights: a weight network, or the best weights for the scores.
        rho: radius of the ball that the weights may fill.
        noise_rank: place among the rows, 1 for the first, before which most of the noise comes; None if unknown.
        noise_score: (K,) scores of that noise.
    """

    weight: Tensor
    score: Tensor
    by: Literal["weight network", "closed form"]
    rho: float
    noise_rank: int | None = None
    noise_score: Tensor | None = None

    @property
    def order(self) -> Tensor:
        """(N,) rows, the most suspicious first: by weight, and by score where weights are equal."""
        by_score = self.score.argsort(descending=True, stable=True)
        return by_score[self.weight[by_score].argsort(stable=True)]

    @property
    def junk(self) -> Tensor:
        """(N,) bool, true where the weight is below one half."""
        return self.weight < 0.5

    @property
    def doubt(self) -> str:
        """A line where noise does not stand out, so that the order says little; else empty."""
        n = len(self.weight)
        if self.noise_rank is None or self.noise_rank <= 1 + max(AMONG_FIRST, self.share) * n:
            return ""
        place = f"as number {self.noise_rank:,} of {n:,}" if self.noise_rank <= n else f"after all {n:,}"
        return (
            f"this ranking cannot be trusted: plain noise, by which it was tried, comes {place} "
            "and not among the first; the critic does not know these images well enough"
        )

    @property
    def share(self) -> float:
        """Of the samples, that the weights may leave out."""
        return 2 * self.rho / (1 + 2 * self.rho)


def rank_outliers(
    game: Game,
    data: Any,
    share: float | None = None,
    progress: Progress | None = None,
    crew: Crew = ALONE,
    noise: Any = None,
) -> Ranking:
    """Weights of every row of `data`: those of the game's weight network, else the best ones for the critic's scores.

    Args:
        game: trained on these data, or on data like them.
        data: samples of the shape that the critic judges, see genkit.data.dataset.DataSet.
        share: up to this share may be junk; the ball's size for the best weights. None takes the game's own. A weight
            network has learned for one size, so it takes none.
        progress: called with (rows done, in total).
        crew: processes that share the rows, and have the same ranking; each of them calls this.
        noise: images of plain noise that the game was trained on beside the data, by which the ranking is tried. None
            makes some that it has not seen, which tell how it would rank noise that is new to it.

    Raises:
        EvaluationError: samples of another shape, a share for a weight network, or none for a plain game.
        RecipeError: a share outside 0 to below 0.5.
    """
    if tuple(data.sample_shape) != tuple(game.generator.sample_shape):
        got, want = list(data.sample_shape), list(game.generator.sample_shape)
        raise EvaluationError(f"samples of {data.name} are {got}, but the critic judges {want}")
    raw = getattr(game.real_weighting, "raw", None)
    if raw is not None and share is not None:
        raise EvaluationError("the weight network has learned for the share that it was trained with; give no other")
    rho = _radius(game, share)
    score, drawn = _judged(game, data, raw, progress, crew)
    noise = noise or _noise_like(data)
    of_noise = _judged(game, noise, raw, None, crew) if noise else None
    if raw is None:
        return _by_score(score, rho, of_noise and of_noise[0])
    place = of_noise and _place(drawn, of_noise[1])
    return Ranking(normalised(drawn), score, "weight network", rho, place, of_noise and of_noise[0])


def averaged(rankings: Sequence[Ranking]) -> Ranking:
    """One ranking of the same rows by several critics: by the mean of their scores, each in deviations from its mean.

    The critics of one training find noise suspicious, forget it and find it again; most of them together are steadier.
    """
    rows, noise = [], []
    for one in rankings:
        assert one.noise_score is not None
        mean, unit = one.score.mean(), deviation(one.score)
        rows.append((one.score - mean) / unit)
        noise.append((one.noise_score - mean) / unit)
    return _by_score(torch.stack(rows).mean(0), rankings[-1].rho, torch.stack(noise).mean(0))


def _by_score(score: Tensor, rho: float, noise: Tensor | None) -> Ranking:
    place = None if noise is None else _place(-score, -noise)
    return Ranking(closed_form(score, rho), score, "closed form", rho, place, noise)


def _noise_like(data: Any) -> Any:
    """Images of plain noise with labels as those of `data`; None where these are no images."""
    if data.x.dtype != torch.uint8:
        return None
    rng = torch.Generator().manual_seed(0)
    index = torch.randint(len(data), (NOISE,), generator=rng)
    noise = torch.randint(256, (NOISE, *data.sample_shape), generator=rng, dtype=torch.uint8)
    return replace(data.taken("noise", index), x=noise)


def _place(rows: Tensor, noise: Tensor) -> int:
    """The place among `rows`, the smallest first, before which most of `noise` comes."""
    return int((rows < noise.quantile(MOST, interpolation="lower")).sum()) + 1


def _radius(game: Game, share: float | None) -> float:
    if share is not None:
        return rho_of_share(share)
    rho = getattr(game.real_weighting, "rho", None)
    if rho is None:
        raise EvaluationError(
            "the run was trained without weights; give by --share the share of the data that may be junk"
        )
    return float(rho)


def _judged(game: Any, data: Any, raw: Any, progress: Progress | None, crew: Crew) -> tuple[Tensor, Tensor]:
    """The critic's scores and the raw weights of all rows, float64; the latter empty without a network.

    Of images as they are, without the view that training may have put before the critic, whose draws are random.
    """
    device = next(game.critic.parameters()).device
    classes = getattr(game.critic, "classes", 0)
    if classes and "label" not in data.conditions:
        raise EvaluationError(f"the critic judges samples of {classes} classes, and {data.name} has no labels")
    if classes and data.conditions.classes != classes:
        raise EvaluationError(
            f"the critic judges samples of {classes} classes, and {data.name} has {data.conditions.classes}"
        )
    made = dict[int, tuple[Tensor, Tensor]]()
    for k, index in crew.my_batches(torch.arange(len(data)), AT_ONCE):
        x = data.rows(index).to(device)
        y = {k: v.to(device) for k, v in data.condition(index).items()} if classes else {}
        with torch.no_grad():
            weight = raw(x).cpu().double() if raw else torch.empty(0).double()
            made[k] = game.critic(x, y).cpu().double(), weight
        if progress:
            progress(int(index[-1]) + 1, len(data))
    scores, weights = zip(*crew.gathered(made), strict=True)
    return torch.cat(scores), torch.cat(weights)


def write_ranking(ranking: Ranking, path: Path, names: Sequence[str] = ()) -> None:
    """A CSV, the most suspicious sample first: rank, row of the data set, its file if there are names, weight, score.

    Raises:
        EvaluationError: not one name a row.
    """
    if names and len(names) != len(ranking.weight):
        raise EvaluationError(f"{len(names)} names for {len(ranking.weight)} samples")
    order = ranking.order.tolist()
    files = {"file": [names[row] for row in order]} if names else {}
    values = {"weight": ranking.weight[ranking.order].tolist(), "score": ranking.score[ranking.order].tolist()}
    table = {"rank": range(1, len(order) + 1), "row": order, **files, **values}
    write_csv(path, list(table), zip(*table.values(), strict=True))

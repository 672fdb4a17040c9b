"""Scores of directions: what each does to images, and whether another does the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError
from genkit.core.evaluating import evaluating
from genkit.core.progress import Progress
from genkit.core.randomness import stable_seed
from genkit.images.properties import change, properties
from genkit.images.property_changes import Properties
from genkit.posthoc.directions.closed_form import closed_form
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.shifts import usual
from genkit.posthoc.directions.telling import told_apart

LEAST = 0.005
"""Change of a property that counts: ranks alone would let a drift that nobody sees stand beside a large one."""

LOOKED_AT, EFFECT = 2**25, 64
"""Numbers in the pictures that are looked at at a time, and the side length to which effects are reduced."""

PropertyReader = Callable[[Tensor], Mapping[str, Tensor]]
"""Images (n, C, H, W) in [-1, 1] -> name -> (n,)."""


@dataclass(frozen=True)
class DirectionScores:
    """The effect of one direction.

    Attributes:
        effect: mean absolute change of a pixel in [-1, 1], of the steps looked at.
        uniqueness: share of its effect, as squares of pixels, that no sum of the others has.
        moves: Spearman's correlation of strength and change, by property.
        accuracy: share of its shifts that a reconstructor names rightly; None where none was trained.
    """

    effect: float
    uniqueness: float
    moves: dict[str, float]
    accuracy: float | None = None

    @property
    def strongest(self) -> str:
        """The property that follows it best; "" without any."""
        return max(self.moves, key=lambda name: abs(self.moves[name]), default="")


@dataclass(frozen=True)
class Scored:
    """Scores of all directions.

    Attributes:
        each: by number.
        accuracy: of reconstructors trained alike, of "own", "random" and "coordinate" directions; empty if none was.
        settings: what they were measured by.
    """

    each: tuple[DirectionScores, ...]
    accuracy: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        each = [{"number": k, "strongest": s.strongest, **asdict(s)} for k, s in enumerate(self.each)]
        return {"accuracy": self.accuracy, "settings": self.settings, "directions": each}


def score(
    directions: Directions,
    steps: int = 300,
    seeds: int = 16,
    reach: float | None = None,
    columns: int = 9,
    seed: int = 0,
    classifier: nn.Module | None = None,
    progress: Progress | None = None,
    crew: Crew = ALONE,
) -> Scored:
    """Scores of all directions of images.

    Args:
        steps: of each reconstructor's training; 0 trains none.
        seeds: samples that are moved, `seed`, `seed` + 1, ...
        reach: largest strength; None takes that of the usual shifts, by which reconstructors are trained.
        columns: strengths from -reach to reach, an odd number.
        classifier: its probabilities are properties too.
        progress: called with (reconstructors trained and directions looked at, in total).
        crew: processes that share both and have the same scores; each of them calls this.

    Raises:
        EvaluationError: a classifier of other images.
    """
    reach = usual(directions.space.dim).scale if reach is None else reach
    done = _Counted(progress, len(directions) + 3 * bool(steps))
    readers: list[PropertyReader] = [properties, *([probabilities_of(classifier, directions)] if classifier else [])]
    strengths, mine = torch.linspace(-reach, reach, columns).tolist(), dict[int, _Look]()
    for k in range(len(directions)):
        if crew.has(k):
            mine[k] = _looked_at(directions, k, strengths, range(seed, seed + seeds), readers)
        done()
    found = crew.gathered(mine)
    unique = uniqueness(torch.stack([one.effect for one in found]))
    rivals = enumerate(_rivals(directions, seed, done)) if steps else ()
    accuracies = dict(
        crew.gathered({k: (name, told_apart(of, steps, seed)) for k, (name, of) in rivals if crew.has(k)})
    )
    each = tuple(
        DirectionScores(one.size, unique[k].item(), one.moves, accuracies["own"].each[k] if accuracies else None)
        for k, one in enumerate(found)
    )
    settings = {"steps": steps, "seeds": seeds, "reach": reach, "columns": columns, "seed": seed}
    return Scored(each, {name: one.accuracy for name, one in accuracies.items()}, settings)


class _Counted:
    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total, self.count = progress, total, 0

    def __call__(self) -> None:
        self.count += 1
        if self.progress:
            self.progress(self.count, self.total)


def _rivals(directions: Directions, seed: int, done: Callable[[], None]) -> Any:
    """Itself and baselines of as many directions, in the same space and unit; coordinates where there are so many."""
    yield "own", directions
    done()
    for method in ("random", "coordinate"):
        if method == "random" or len(directions) <= directions.space.dim:
            yield method, rival(directions, method, stable_seed(seed, "rival"))
        done()


def rival(directions: Directions, method: Any, seed: int = 0) -> Directions:
    """As many directions by another method, in the same space and unit."""
    deformator = closed_form(method, directions.space, len(directions), seed)
    other = Directions(directions.generator, deformator, directions.space.name).to(directions.unit.device)
    other.unit.copy_(directions.unit)
    return other


class _Look(NamedTuple):
    """Pictures of one direction, read: mean change of a pixel, correlations, and its effect (P,) on small images."""

    size: float
    moves: dict[str, float]
    effect: Tensor


def _looked_at(
    directions: Directions, number: int, strengths: list[float], seeds: range, readers: list[PropertyReader]
) -> _Look:
    """Of as many seeds at a time as a machine's memory takes."""
    columns, pixels = len(strengths), torch.Size(directions.sample_shape).numel()
    most, size, values, effects = max(1, LOOKED_AT // (columns * pixels)), 0.0, dict[str, list[Tensor]](), []
    for first in range(0, len(seeds), most):
        strip = directions.strip(number, strengths, seeds[first : first + most])
        size += (strip - strip[:, columns // 2, None]).abs().mean().item() * len(strip) / len(seeds)
        effects.append(_small(strip[:, -1] - strip[:, 0]).flatten().cpu())
        for reader in readers:
            for name, value in reader(strip.flatten(0, 1)).items():
                values.setdefault(name, []).append(value.cpu().view(len(strip), columns))
    every = {name: torch.cat(parts) for name, parts in values.items()}
    return _Look(size, {name: follows(name, strengths, value) for name, value in every.items()}, torch.cat(effects))


def follows(name: str, strengths: list[float], values: Tensor) -> float:
    """Correlation of strengths and the change of a property (seeds, strengths) from that of the middle one."""
    changed = change(name, values[:, values.shape[1] // 2, None], values).flatten()
    return spearman(torch.tensor(strengths).repeat(len(values)), (changed / LEAST).round())


def _small(x: Tensor) -> Tensor:
    """Images of which a side has about EFFECT pixels at most: means of squares."""
    times = x.shape[-1] // EFFECT
    return torch.nn.functional.avg_pool2d(x, times) if times > 1 else x


def probabilities_of(classifier: nn.Module, directions: Directions) -> PropertyReader:
    """Reads the probability of each class, under the name P(class).

    Raises:
        EvaluationError: it takes other images.
    """
    check_classifier(classifier, directions.sample_shape)
    names = getattr(classifier, "class_names", ()) or tuple(map(str, range(int(classifier.classes))))  # type: ignore[arg-type]

    @torch.no_grad()
    def read(x: Tensor) -> dict[str, Tensor]:
        with evaluating(classifier):
            p = torch.cat([classifier(part).float().softmax(1) for part in x.split(256)])
        return {f"P({name})": p[:, k] for k, name in enumerate(names)}

    return read


def check_classifier(classifier: nn.Module, sample_shape: tuple[int, ...]) -> None:
    """Raises EvaluationError where a classifier takes other images."""
    taken = tuple(getattr(classifier, "sample_shape", ()))
    if taken != tuple(sample_shape):
        raise EvaluationError(f"classifier: it takes images of {list(taken)}, and these are {list(sample_shape)}")


def moved_by(
    directions: Directions, number: int, strength: float, judge: Properties, seeds: range
) -> dict[str, Tensor]:
    """Name -> (seeds,) change of what a judge reads from -strength to strength, in its deviations over real images."""
    strip = directions.strip(number, [-strength, strength], seeds)
    return judge.changes(judge.read(strip[:, 0]), judge.read(strip[:, 1]))


def spearman(a: Tensor, b: Tensor) -> float:
    """Rank correlation of (n,) and (n,), ties at their mean rank; 0 where one of them is constant."""
    ranks = [ranked(v) for v in (a, b)]
    x, y = (r - r.mean() for r in ranks)
    scale = (x.square().sum() * y.square().sum()).sqrt()
    return ((x * y).sum() / scale).item() if scale > 0 else 0.0


def ranked(values: Tensor) -> Tensor:
    """(n,) float64: mean rank of each value."""
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts.double() - 1) / 2)[inverse]


def uniqueness(effects: Tensor) -> Tensor:
    """(K,) in [0, 1]: share of the square of each row of effects (K, P) that is outside the span of the others.

    1 / (G_kk (G^-1)_kk) of the Gram matrix G of rows of length one; a row of zeros has 0.
    """
    rows = torch.nn.functional.normalize(effects.double(), dim=1)
    moved = rows.any(1)
    gram = rows[moved] @ rows[moved].T + 1e-9 * torch.eye(int(moved.sum()), dtype=torch.float64)
    found = torch.zeros(len(effects), dtype=torch.float64)
    found[moved] = 1 / torch.linalg.inv(gram).diagonal()
    return found.clamp(0, 1)

"""Whether a generator does as it is asked, attribute by attribute, judged by a network that had no part in training.

Shoshan et al. 2021, arXiv:2101.02477, Sec. 4.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import BeyondTraining, EvaluationError, kind_of
from genkit.core.progress import Progress
from genkit.core.randomness import seeds_of_rows, stable_seed
from genkit.evaluation.control_result import AttributeScores, ControlScores, Mean, disentanglement, unit_of
from genkit.evaluation.real_data import check_data, open_data
from genkit.images.property_changes import AttributeJudge

T = TypeVar("T")

BATCH = 250
"""Images at a time."""
FIXED = 8
"""Values at which the diversity of images is measured."""
LEAST = 4 * FIXED
"""Images of each measurement; fewer say nothing."""


@runtime_checkable
class Steerable(Protocol):
    """A generator whose attributes are slices of its latent.

    What a call takes from `rng` are the seeds of its rows, as `Rows` do.
    """

    sample_shape: tuple[int, ...]

    @property
    def conditions(self) -> ConditionSpace: ...
    def sample(self, n: int, *, condition: Mapping[str, Any] | None = None, rng: Any = None) -> Tensor: ...
    def drawn(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """n samples without a wish: what they are made of, and their images."""
        ...

    def with_slice(self, name: str, w: Tensor, rng: torch.Generator) -> Tensor:
        """Samples of which the slice `name` is that of the rows of `w`."""
        ...


def control_scores(
    generator: Steerable,
    judge: AttributeJudge,
    data: Any,
    n: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
    skip_bad: bool = False,
    crew: Crew = ALONE,
) -> ControlScores:
    """Of every attribute that the generator can be asked for and the judge reads.

    Args:
        data: real images, see `open_data`; where they say an attribute its values are targets.
        n: images of each measurement.
        crew: processes that share the images, batch by batch, and have the same scores; each of them calls this.

    Raises:
        EvaluationError: not a generator with controls or not a judge, they have no attribute in common, or too few
            images.
        DataError: data of another shape.
    """
    if not isinstance(generator, Steerable):
        raise EvaluationError(f"{kind_of(generator)} has no controls; a GAN-Control has")
    if not isinstance(judge, AttributeJudge):
        raise EvaluationError(f"--judge: {kind_of(judge)} reads no attributes of images")
    if tuple(judge.sample_shape) != tuple(generator.sample_shape):
        raise EvaluationError(
            f"--judge: it takes images of {list(judge.sample_shape)}, and the generator makes "
            f"{list(generator.sample_shape)}"
        )
    names = _common(generator.conditions, judge.conditions)
    check_data(data, generator.sample_shape, "--against")
    real = open_data(data, generator.sample_shape, "--against", skip_bad)
    if min(n, len(real)) < LEAST:
        raise EvaluationError(f"control is measured on {LEAST} images or more; got {min(n, len(real))} of {real.name}")
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BeyondTraining)  # of targets, which are what the judge sees, not what one asks
        test = _Test(generator, judge, real, names, min(n, len(real)), seed, progress, crew)
        found = {name: test.scores(name) for name in names}
    described = {"name": real.name, "n": len(real), "fingerprint": real.fingerprint}
    return ControlScores(found, described, test.n, seed, time.monotonic() - started, test.remarks())


def _common(asked: ConditionSpace, read: ConditionSpace) -> list[str]:
    for name in (names := [name for name in asked if name in read]):
        mine, other = asked[name], read[name]
        if type(mine) is not type(other) or getattr(mine, "classes", 0) != getattr(other, "classes", 0):
            raise EvaluationError(f"--judge: it reads {other.about} of {name!r}, and the generator takes {mine.about}")
    if not names:
        raise EvaluationError(f"--judge: it reads {', '.join(read)}, and the generator is asked for {', '.join(asked)}")
    return names


class _Test:
    """The images that all attributes share, and what is measured of each."""

    def __init__(
        self,
        generator: Steerable,
        judge: AttributeJudge,
        real: Any,
        names: list[str],
        n: int,
        seed: int,
        progress: Progress | None,
        crew: Crew,
    ):
        self.generator, self.judge, self.real, self.names, self.n, self.seed = generator, judge, real, names, n, seed
        self.crew = crew
        self.columns = dict(judge.conditions)
        self.progress, self.done, self.total = progress, 0, n * (3 + 4 * len(names))
        index = torch.randperm(len(real), generator=self.rng("real"))[:n]
        self.truth = {k: v.cpu() for k, v in real.condition(index).items() if k in names}
        self.seen_real = self.joined(
            crew.gathered({k: self.read(real.rows(rows)) for k, rows in crew.my_batches(index, BATCH)})
        )
        self.targets = {name: self.truth.get(name, self.seen_real[name]) for name in names}
        draw = self.generator.drawn
        self.seen_own = self.seen_in(self.rng("own"), lambda rows, rng: draw(len(rows), rng)[1])
        pool = self.made(self.rng("pool"), lambda rows, rng: [part.cpu() for part in draw(len(rows), rng)])
        self.w, self.images = (torch.cat(parts) for parts in zip(*pool, strict=True))
        mine = crew.my_batches(torch.arange(n), BATCH)
        self.seen = self.joined(crew.gathered({k: self.read(self.images[rows]) for k, rows in mine}))

    def rng(self, *what: str) -> torch.Generator:
        return torch.Generator().manual_seed(stable_seed(self.seed, "control", *what))

    def made(self, rng: torch.Generator, draw: Callable[[Tensor, torch.Generator], T]) -> list[T]:
        """Batch by batch, draw(numbers of its samples, rng): the same as if this process made all of them."""
        made = {}
        for k, rows in enumerate(torch.arange(self.n).split(BATCH)):
            if self.crew.has(k):
                made[k] = draw(rows, rng)
            else:
                seeds_of_rows(len(rows), rng)
        return self.crew.gathered(made)

    def seen_in(self, rng: torch.Generator, draw: Callable[[Tensor, torch.Generator], Tensor]) -> dict[str, Tensor]:
        """All that the judge sees in images; see `made`."""
        return self.joined(self.made(rng, lambda rows, rng: self.read(draw(rows, rng))))

    def remarks(self) -> list[str]:
        unsaid = [name for name in self.names if name not in self.truth]
        remarks = [f"the data do not say {', '.join(unsaid)}: what the judge sees in them stands in"] if unsaid else []
        if unread := [name for name in self.generator.conditions if name not in self.names]:
            remarks.append(f"the judge does not read {', '.join(unread)}: not scored")
        return [*remarks, *self.real.remarks()]

    @torch.no_grad()
    def read(self, x: Tensor) -> dict[str, Tensor]:
        """All that the judge sees in a batch, on the CPU."""
        found = self.judge.predict(x.to(getattr(self.judge, "device", "cpu")))
        self.done = min(self.total, self.done + len(x) * self.crew.count)
        if self.progress:
            self.progress(self.done, self.total)
        return {name: found[name].cpu() for name in self.columns}

    def joined(self, parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {name: torch.cat([part[name] for part in parts]) for name in self.columns}

    def apart(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """Distances of values (n,), 0 or 1 of classes."""
        column = self.columns[name]
        return column.distance(a, b) if isinstance(column, Values) else (a != b).double()

    def asked(self, name: str, targets: Tensor, what: str) -> dict[str, Tensor]:
        return self.seen_in(self.rng(name, what), self.asking(name, targets))

    def asking(self, name: str, targets: Tensor) -> Callable[[Tensor, torch.Generator], Tensor]:
        sample = self.generator.sample
        return lambda rows, rng: sample(len(rows), condition={name: targets[rows]}, rng=rng).cpu()

    def scores(self, name: str) -> AttributeScores:
        real, own = self.targets[name], self.seen_own[name]
        others = real[torch.randperm(self.n, generator=self.rng(name, "others"))]
        seen, moved = self.asked(name, real, "real"), self.asked(name, others, "real")
        seen_own = self.asked(name, own, "own")[name]
        copied = self.copied(name, self.w[self.nearest(name, real)])
        unit, factor = unit_of(self.columns[name], real)
        errors = {
            "real": self.apart(name, seen[name], real),
            "own": self.apart(name, seen_own, own),
            "chance": self.apart(name, seen[name], others),
            "nearest": self.apart(name, copied[name], real),
            "judge": self.apart(name, self.seen_real[name], real),
        }
        changed = {j: self.apart(j, seen[j], moved[j]).mean().item() for j in self.columns}
        varied = {j: self.spread(j, seen, moved) / max(self.spread(j, self.seen_real), 1e-12) for j in self.names}
        return AttributeScores(
            unit,
            {kind: Mean.of(rows, factor) for kind, rows in errors.items() if kind != "judge" or name in self.truth},
            {j: changed[j] / max(self.natural(self.seen, j), 1e-12) for j in self.columns if j != name},
            disentanglement(name, varied, self.n),
            self.diversity(name),
            self.shares(name),
        )

    def copied(self, name: str, w: Tensor) -> dict[str, Tensor]:
        copy = self.generator.with_slice
        return self.seen_in(self.rng(name, "copied"), lambda rows, rng: copy(name, w[rows], rng))

    def natural(self, seen: Mapping[str, Tensor], name: str) -> float:
        """Mean distance of two images."""
        return self.apart(name, seen[name], seen[name].roll(1)).mean().item()

    def spread(self, name: str, seen: Mapping[str, Tensor], moved: Mapping[str, Tensor] | None = None) -> float:
        """The standard deviation of an attribute, times sqrt(2): the root mean square distance of two images that
        differ in one slice alone, or of any two. Unlike a deviation it is one of circles and classes too."""
        other = seen[name].roll(1) if moved is None else moved[name]
        return self.apart(name, seen[name], other).double().square().mean().sqrt().item()

    def nearest(self, name: str, targets: Tensor) -> Tensor:
        """For each target the number of the own image that comes nearest, one of several by chance."""
        apart = self.apart(name, targets[:, None], self.seen[name][None]).double()
        order = torch.rand(apart.shape, generator=self.rng(name, "ties"), dtype=torch.float64)
        return (apart + 1e-9 * order).argmin(1)

    def diversity(self, name: str) -> float:
        """Of images in FIXED groups, each of which has one target."""
        each = -(-self.n // FIXED)
        wishes = self.targets[name][torch.arange(FIXED) % self.n].repeat_interleave(each)[: self.n]
        x = torch.cat(self.made(self.rng(name, "fixed"), self.asking(name, wishes)))
        same = (wishes == wishes.roll(1)).nonzero().flatten()
        return (_pixels(x)[same].mean() / _pixels(self.images).mean()).item()

    def shares(self, name: str) -> dict[str, tuple[float, float]]:
        column = self.columns[name]
        if not isinstance(column, Labels):
            return {}
        counts = [torch.bincount(seen[name], minlength=column.classes) for seen in (self.seen_real, self.seen)]
        names = column.names or [str(k) for k in range(column.classes)]
        return {k: (int(a) / self.n, int(b) / self.n) for k, a, b in zip(names, *counts, strict=True)}


def _pixels(x: Tensor) -> Tensor:
    """Root mean square distance of every image to the one before it, (n,)."""
    return (x - x.roll(1, 0)).square().flatten(1).mean(1).sqrt()

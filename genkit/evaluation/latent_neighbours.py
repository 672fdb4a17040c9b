"""Accuracy of a classifier that only compares latents: labels from the nearest encoded training images."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from genkit.core import tree
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError, kind_of
from genkit.core.interruption import beside
from genkit.core.nearest import nearest
from genkit.core.progress import Progress
from genkit.core.tree import Tree
from genkit.evaluation.real_data import check_data, open_data
from genkit.evaluation.scores import versions

ENCODED = 1000
"""Images encoded at a time."""
ACTIVE = 0.01
"""Variance of a latent dimension's mean over images from which it counts as active. Burda et al. 2016, Sec. 5.3."""


@runtime_checkable
class Encoder(Protocol):
    """A model that encodes images as latents."""

    sample_shape: tuple[int, ...]

    def encode(self, x: Tensor) -> Tree:
        """Images (B, C, H, W) in [-1, 1] -> means of their latents (B, D), or a tree of such."""
        ...


@dataclass(frozen=True)
class LatentKNN:
    """Accuracies of nearest neighbours among latents.

    Attributes:
        accuracy: k -> share of test images that are classified rightly.
        active, dims: latent dimensions whose mean varies over the training images, and all.
        train, test: name, number and fingerprint of either set.
        seconds: wall time.
        warnings: remarks on how the data were read.
    """

    accuracy: dict[int, float]
    active: int
    dims: int
    train: dict[str, Any]
    test: dict[str, Any]
    seconds: float
    warnings: list[str]

    def standard_error(self, k: int) -> float:
        """Standard error of the accuracy, over test images."""
        return math.sqrt(self.accuracy[k] * (1 - self.accuracy[k]) / int(self.test["n"]))

    def to_json(self) -> dict[str, Any]:
        return {
            "values": {f"k={k}": share for k, share in self.accuracy.items()},
            "standard_errors": {f"k={k}": self.standard_error(k) for k in self.accuracy},
            "better": {f"k={k}": "higher" for k in self.accuracy},
            "active_latents": self.active,
            "latents": self.dims,
            "train": self.train,
            "test": self.test,
            "seconds": self.seconds,
            "warnings": self.warnings,
            "versions": versions(),
        }


def latent_knn(
    encoder: Encoder,
    train: Any,
    test: Any,
    k: Sequence[int] = (1, 5, 9, 15),
    progress: Progress | None = None,
    skip_bad: bool = False,
    crew: Crew = ALONE,
) -> LatentKNN:
    """Accuracy on all of `test` of the majority label of the k nearest means of `train`, grey levels as they are.

    Exact Euclidean distance between means; among labels that are equally frequent the lowest wins.

    Args:
        train, test: labelled data, see `open_data`.
        k: numbers of neighbours.
        progress: called with (images encoded, in total).
        skip_bad: of folders and zips, leave out files that cannot be used.
        crew: processes that share the images, and have the same accuracies; each of them calls this.

    Raises:
        EvaluationError: no `encode`, no labels, or k outside 1 to the number of training images.
        DataError: data of another shape.
    """
    if not isinstance(encoder, Encoder):
        raise EvaluationError(f"{kind_of(encoder)} has no latents to compare; a VAE has")
    started, k = time.monotonic(), _checked(k)
    named = ((train, "the training set"), (test, "the test set"))
    for what, role in named:
        check_data(what, encoder.sample_shape, role)
    sets = [_labelled(*named[0], encoder, skip_bad)]
    k = _checked(k, len(sets[0]))
    sets.append(_labelled(*named[1], encoder, skip_bad))
    known, asked = _encoded(encoder, sets, progress, crew)
    mine = beside(lambda: {n: nearest(rows, known, max(k))[0] for n, rows in crew.my_batches(asked, ENCODED)})
    labels = sets[0].labels[torch.cat(crew.gathered(mine))]
    right = {m: (vote(labels[:, :m]) == sets[1].labels).double().mean().item() for m in k}
    described = [{"name": d.name, "n": len(d), "fingerprint": d.fingerprint} for d in sets]
    seconds, remarks = time.monotonic() - started, [line for data in sets for line in data.remarks()]
    return LatentKNN(right, active_dimensions(known), known.shape[1], described[0], described[1], seconds, remarks)


def active_dimensions(means: Tensor) -> int:
    """Number of dimensions of latent means (N, D) that vary with the image. Burda et al. 2016, Sec. 5.3."""
    return int((means.double().var(0) > ACTIVE).sum())


def vote(labels: Tensor) -> Tensor:
    """(Q, k) -> the most frequent label of each row, the lowest of those that tie (Q,)."""
    return F.one_hot(labels).sum(1).argmax(1)


def _labelled(what: Any, role: str, encoder: Encoder, skip_bad: bool) -> Any:
    data = open_data(what, encoder.sample_shape, role, skip_bad)
    if getattr(data, "labels", None) is None:
        raise EvaluationError(f"{role}: {data.name} has no labels{data.conditions.reason}")
    return data


def _checked(k: Iterable[int], available: int | None = None) -> list[int]:
    k = sorted(set(k))
    if not k or k[0] < 1 or (available is not None and k[-1] > available):
        most = "the number of" if available is None else f"the {available}"
        raise EvaluationError(f"k must be numbers from 1 to {most} training images, got {k}")
    return k


def _encoded(encoder: Encoder, sets: list[Any], progress: Progress | None, crew: Crew) -> Iterator[Tensor]:
    total, before = sum(map(len, sets)), 0
    for data in sets:
        means = dict[int, Tensor]()
        for k, index in crew.my_batches(torch.arange(len(data)), ENCODED):
            with torch.no_grad():
                parts = tree.leaves(encoder.encode(data.rows(index)))
            means[k] = torch.cat([part.flatten(1) for part in parts], 1).float().cpu()
            if progress:
                progress(before + int(index[-1]) + 1, total)
        before += len(data)
        yield torch.cat(crew.gathered(means))

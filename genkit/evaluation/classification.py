"""Accuracy of a classifier on labelled data; of one for noisy images, level by level."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from genkit.core.columns.labels import plain
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError, shown
from genkit.core.progress import Progress
from genkit.core.randomness import stable_seed
from genkit.evaluation.scores import versions

ROWS = 250
"""Images classified at a time."""


@runtime_checkable
class Classifying(Protocol):
    """Scored by its accuracy."""

    @property
    def device(self) -> torch.device: ...

    def right(self, x: Tensor, label: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Whether each image of x (B, C, H, W) in [-1, 1] is classified right, (B,) bool; the first name is "accuracy".

        A classifier of noisy images also answers for each of its noise levels.
        """
        ...


def accuracy(
    product: Classifying,
    data: Any,
    n: int = 10_000,
    seed: int = 0,
    progress: Progress | None = None,
    crew: Crew = ALONE,
) -> dict[str, Any]:
    """Shares of right answers, as `Scores.to_json` gives scores; one of 0 or 1 has no standard error.

    `classes` has the images, and the share told right, of each class; `balanced` is the mean of these shares, and
    `commonest` what one gets who always names the most frequent class.

    Args:
        product: a classifier.
        data: a labelled data set, see genkit.data.dataset.DataSet.
        n: rows, drawn without replacement; all when there are fewer.
        seed: of the rows and of the noise.
        progress: called with (rows done, in total).
        crew: processes that share the rows, and have the same shares; each of them calls this.

    Raises:
        EvaluationError: the data have no labels, or classes that the classifier does not know; see `class_numbers`.
    """
    numbers, started = class_numbers(product, data), time.monotonic()
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    made = dict[int, dict[str, Tensor]]()
    for k, index in crew.my_batches(chosen, ROWS):
        rng = torch.Generator().manual_seed(stable_seed(seed, "noise", k))
        x, label = data.rows(index).to(product.device), numbers[data.labels[index]].to(product.device)
        made[k] = {name: right.cpu().double() for name, right in product.right(x, label, rng).items()}
        if progress:
            progress(min((k + 1) * ROWS, len(chosen)), len(chosen))
    parts = crew.gathered(made)
    answers = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    values = {name: right.mean().item() for name, right in answers.items()}
    names = data.conditions.class_names or tuple(map(str, range(len(numbers))))
    classes = _of_each(next(iter(answers.values())), data.labels[chosen], names)
    return {
        "values": values,
        "standard_errors": {name: math.sqrt(v * (1 - v) / len(chosen)) or None for name, v in values.items()},
        "classes": classes,
        "balanced": sum(classes["right"].values()) / len(classes["right"]),
        "commonest": max(classes["n"].values()) / len(chosen),
        "labels": {name: name for name in values},
        "better": dict.fromkeys(values, "higher"),
        "against": {"name": data.name, "n": len(chosen), "fingerprint": data.fingerprint},
        "seed": seed,
        "warnings": [],
        "seconds": time.monotonic() - started,
        "versions": versions(),
    }


def _of_each(right: Tensor, labels: Tensor, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Images of each class that has some, and the share told right; numbers tell classes of one name apart."""
    apart = [name if names.count(name) == 1 else f"{name} ({k})" for k, name in enumerate(names)]
    found = {name: of for k, name in enumerate(apart) if len(of := right[labels == k])}
    return {
        "n": {name: len(of) for name, of in found.items()},
        "right": {name: of.mean().item() for name, of in found.items()},
    }


def class_numbers(product: Any, data: Any) -> Tensor:
    """The classifier's number of each class of the data, (classes,) int64: that of the same name.

    Where either has no names, numbers are taken as they are. Names are compared without case, and before a slash:
    "t-shirt" is "T-shirt/top".

    Raises:
        EvaluationError: the data have no labels, or a class that the classifier does not know.
    """
    if "label" not in data.conditions:
        raise EvaluationError(f"{data.name} has no labels; accuracy needs labelled data{data.conditions.reason}")
    theirs, mine = data.conditions.class_names, tuple(getattr(product, "class_names", ()))
    classes, known = data.conditions["label"].classes, getattr(product, "classes", None)
    if not theirs or not mine:
        if known is not None and classes > known:
            raise EvaluationError(f"{data.name} has {classes} classes, the classifier {known}")
        return torch.arange(classes)
    numbers = {plain(name): number for number, name in reversed(list(enumerate(mine)))}
    if missing := [name for name in theirs if plain(name) not in numbers]:
        raise EvaluationError(
            f"{data.name} has a class {shown(missing[0])}, and the classifier knows {', '.join(mine)}; rename the "
            "classes, such as the folders that images lie in"
        )
    return torch.tensor([numbers[plain(name)] for name in theirs])

"""Judges score the product of a training; the product names its own (`judged_by`), so that nobody else must know."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from genkit.core.catalog import load
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import DataError, EvaluationError, RecipeError, WeightsError, kind_of, shown, suggest
from genkit.core.progress import Progress
from genkit.evaluation.scores import versions

if TYPE_CHECKING:
    from genkit.evaluation.extractors.extractor import Extractor


RATIO = {
    "bce": "cross-entropy of real against made, nats",
    "ece": "calibration error",
    "z": "Dawid's Z",
}
"""Scores of a ratio of densities, and their names in reports."""


class Asked(Protocol):
    """The section `evaluate` of a recipe."""

    @property
    def metrics(self) -> Sequence[str]: ...
    @property
    def n(self) -> int: ...
    @property
    def extractor(self) -> str | None: ...
    @property
    def best(self) -> str: ...


class Judge(Protocol):
    """Checks a request for scores before training, and scores after it.

    One with a method `floor`, as `BySamples`, knows what real samples get.
    """

    def check(self, asked: Asked) -> None:
        """Raises RecipeError for a metric or extractor that does not exist or does not suit the product."""

    def check_reference(self, asked: Asked, product: Any, against: Any) -> None:
        """Raises RecipeError for data that cannot score `product`."""

    def scores(
        self, product: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        """The content of scores.json; the processes of `crew` find it together."""
        ...


def judge_of(product: Any) -> Judge:
    """Raises RecipeError where there is none."""
    name = getattr(product, "judged_by", "")
    if not name:
        raise RecipeError(f"evaluate: nothing can be scored of {kind_of(product)}; leave it out")
    judge: Judge = load(name)()
    return judge


class BySamples:
    """The judge of generators: their samples beside real ones.

    Attributes:
        extractor: the one that fits product and reference, once they are checked.
    """

    def __init__(self) -> None:
        self.extractor: Extractor | None = None

    def check(self, asked: Asked) -> None:
        from genkit.evaluation.extractors.choice import check_extractor
        from genkit.evaluation.metrics.scores_by_name import metric_named
        from genkit.evaluation.possible import Wanted
        from genkit.evaluation.scoring import check_n

        try:
            metrics = Wanted(asked.metrics, check_n(asked.n))
            metrics.by_name_of(asked.extractor)
            names = [score.name for metric in metrics.names for score in metric_named(metric).scores]
        except EvaluationError as error:
            raise RecipeError(f"evaluate.metrics: {error}") from error
        if asked.best not in names:
            raise RecipeError(f"evaluate.best: {shown(asked.best)} is not scored{suggest(asked.best, names)}")
        try:
            if asked.extractor is not None:
                check_extractor(asked.extractor)
        except (EvaluationError, WeightsError) as error:
            raise RecipeError(f"evaluate.extractor: {error}") from error

    def check_reference(self, asked: Asked, product: Any, against: Any) -> None:
        from genkit.evaluation.possible import Wanted
        from genkit.evaluation.scoring import check

        try:
            metrics = Wanted(asked.metrics, asked.n)
            metrics.of_rows(len(against), against.name)
            metrics.over(getattr(against, "mixture", None), against.name)
        except EvaluationError as error:
            raise RecipeError(f"evaluate.metrics: {error}") from error
        try:
            self.extractor = check(product, against, asked.metrics, asked.n, asked.extractor)
        except (DataError, EvaluationError, WeightsError) as error:
            raise RecipeError(f"evaluate: {error}") from error

    def scores(
        self, product: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        from genkit.evaluation.scoring import evaluate

        extractor = self.extractor or asked.extractor
        found = evaluate(product, against, asked.metrics, asked.n, extractor, seed, progress=progress, crew=crew)
        return found.to_json()

    def floor(
        self, data: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        """The same scores of real samples: of `data`, or where the reference has the same ones, of one half of them
        against the other. Empty where they cannot be had.
        """
        from genkit.evaluation.scoring import evaluate

        n = min(asked.n, len(data))
        if data is against or (len(data) == len(against) and data.fingerprint == against.fingerprint):
            order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
            n = min(asked.n, len(data) // 2)
            data, against = (data.taken(data.name, rows.sort().values) for rows in (order[:n], order[n : 2 * n]))
        extractor = self.extractor or asked.extractor
        try:
            found = evaluate(data, against, asked.metrics, n, extractor, seed, progress=progress, crew=crew)
        except (DataError, EvaluationError):
            return {}
        return {"values": {name: score.value for name, score in found.scores.items()}, "n": n}


class ByRatio(BySamples):
    """The judge of samplers that read a ratio of densities: of the ratio, by metrics: [ratio], or of their samples."""

    def check(self, asked: Asked) -> None:
        if "ratio" not in asked.metrics:
            super().check(asked)
        elif list(asked.metrics) != ["ratio"] or asked.best not in RATIO:
            raise RecipeError(f"evaluate: metrics: [ratio] stands alone, and best is one of {', '.join(RATIO)}")

    def check_reference(self, asked: Asked, product: Any, against: Any) -> None:
        if "ratio" not in asked.metrics:
            super().check_reference(asked, product, against)
        elif tuple(against.sample_shape) != tuple(product.sample_shape):
            made = list(product.sample_shape)
            raise RecipeError(f"evaluate.against: {against.name} is {list(against.sample_shape)}, samples are {made}")

    def floor(
        self, data: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        return {} if "ratio" in asked.metrics else super().floor(data, against, asked, seed, progress, crew)

    def scores(
        self, product: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        if "ratio" not in asked.metrics:
            return super().scores(product, against, asked, seed, progress, crew)
        started = time.monotonic()
        found = product.reliability(against, asked.n, torch.Generator().manual_seed(seed), crew)
        values = found.values()
        return {
            "values": values,
            "standard_errors": {},
            "labels": dict(RATIO),
            "better": dict.fromkeys(values, "lower"),
            "against": {"name": against.name, "n": min(asked.n, len(against)), "fingerprint": against.fingerprint},
            "seed": seed,
            "warnings": found.remarks(),
            "seconds": time.monotonic() - started,
            "versions": versions(),
        }


class ByAccuracy:
    """The judge of classifiers: their accuracy."""

    def check(self, asked: Asked) -> None:
        if list(asked.metrics) != ["accuracy"] or asked.best != "accuracy":
            raise RecipeError("evaluate: a classifier is scored by metrics: [accuracy] and best: accuracy")

    def check_reference(self, asked: Asked, product: Any, against: Any) -> None:
        from genkit.evaluation.classification import class_numbers

        _check_reference(product, against, class_numbers)

    def scores(
        self, product: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        from genkit.evaluation.classification import accuracy

        return accuracy(product, against, asked.n, seed, progress, crew)


class ByAttributes:
    """The judge of predictors of attributes: how often they are right, or by how much they are wrong."""

    def check(self, asked: Asked) -> None:
        if list(asked.metrics) != ["attributes"]:
            raise RecipeError(
                "evaluate: a predictor is scored by metrics: [attributes], and best: one of its attributes"
            )

    def check_reference(self, asked: Asked, product: Any, against: Any) -> None:
        from genkit.evaluation.attributes import known_columns

        if asked.best not in product.conditions:
            near = suggest(asked.best, product.conditions)
            raise RecipeError(f"evaluate.best: {shown(asked.best)} is no attribute of the predictor{near}")
        _check_reference(product, against, known_columns)

    def scores(
        self, product: Any, against: Any, asked: Asked, seed: int, progress: Progress, crew: Crew = ALONE
    ) -> dict[str, Any]:
        from genkit.evaluation.attributes import attribute_errors

        return attribute_errors(product, against, asked.n, seed, progress, crew)


def _check_reference(product: Any, against: Any, known: Callable[[Any, Any], object]) -> None:
    """Raises RecipeError unless `against` has what `known` looks for, and images of the product's shape."""
    try:
        known(product, against)
    except EvaluationError as error:
        raise RecipeError(f"evaluate.against: {error}") from error
    if tuple(against.sample_shape) != tuple(product.sample_shape):
        taken = list(product.sample_shape)
        raise RecipeError(f"evaluate.against: {against.name} is {list(against.sample_shape)}, the data {taken}")

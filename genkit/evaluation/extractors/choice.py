"""Extractors by name, and the choice of one by the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from genkit.core.catalog import check_arguments, documented, imported
from genkit.core.computing import computing
from genkit.core.errors import EvaluationError, WeightsError, kind_of, suggest
from genkit.core.location import locate
from genkit.core.table import CATALOG, has, lookup
from genkit.evaluation.extractors.classifier import is_classifier, of_classifier, saved_classifier
from genkit.evaluation.extractors.extractor import POINTS, Extractor, sha256_of_state

_GREY_28 = (1, 28, 28)
_COLOUR_28 = (3, 28, 28)
FEATURES_ALONE = {"efficientnet-lite0", "dinov2", POINTS}
"""Extractors that are no classifiers."""


def extractor_for(
    spec: Extractor | nn.Module | str | None,
    name: str = "",
    sample_shape: tuple[int, ...] | None = None,
    weights: str | Path | None = None,
) -> Extractor:
    """The extractor that is asked for, else the one that suits the reference data.

    Args:
        spec: an extractor, any nn.Module of yours (images in [-1, 1], or points, to features (B, d); a genkit
            `Classifier` gives its features and logits), a name from `genkit list extractors`, a folder or name of
            weights that hold a classifier, or None.
        name, sample_shape: of the reference data. Without a spec, points need no extractor; 28 x 28 grey digits and
            clothes have their classifiers; all else takes efficientnet-lite0.
        weights: a file with the extractor's weights, for `inception`, `efficientnet-lite0` and `dinov2`.

    Raises:
        EvaluationError: no such extractor, or its weights cannot be had.
        WeightsError: damaged weights.
    """
    chosen = default_extractor(name, sample_shape) if spec is None else str(spec) if isinstance(spec, Path) else spec
    check_extractor(chosen, weights)
    if isinstance(chosen, (Extractor, nn.Module)):
        return chosen if isinstance(chosen, Extractor) else _of_module(chosen, type(chosen).__name__)
    if chosen == POINTS:
        return Extractor(POINTS, nn.Identity(), sha256_of_state(nn.Identity()), logits=False)
    make, given = _maker(chosen), {"weights": weights} if weights else {}
    if has("extractors", chosen):
        given = check_arguments(make, given, where=f"extractor {chosen}")
    made = make(**given)
    if isinstance(made, nn.Module):
        made = _of_module(made, chosen)
    if not isinstance(made, Extractor):
        raise EvaluationError(f"extractor {chosen} is {kind_of(made)}; {documented(Extractor)}, a module will do")
    return made.to(computing().device)


def check_extractor(spec: Extractor | nn.Module | str | Path, weights: str | Path | None = None) -> None:
    """Checks an extractor as far as possible without reading its weights; errors as `extractor_for`."""
    if isinstance(spec, (Extractor, nn.Module)):
        if weights is not None:
            raise EvaluationError(f"{kind_of(spec)} has its weights already; give it or a file, not both")
    elif spec != POINTS:
        if weights is not None and "weights" not in signature(_maker(str(spec))).parameters:
            raise EvaluationError(
                f"extractor {spec} has its own weights; to use others, name their folder as the extractor"
            )
        if not has("extractors", str(spec)):
            _check_folder(str(spec))
    if weights is not None and not Path(weights).is_file():
        raise WeightsError(f"{weights} does not exist; give the file with the extractor's weights")


def _check_folder(spec: str) -> None:
    """Raises EvaluationError or WeightsError unless there are weights of that name or in that folder."""
    if not spec or not Path(spec).exists():
        raise EvaluationError(
            f"no extractor {spec!r}{suggest(spec, CATALOG['extractors'])}; or give a folder with a classifier"
        )
    locate(spec)


def default_extractor(name: str, sample_shape: tuple[int, ...] | None) -> str:
    """The name of the extractor for data of this name and shape; see `extractor_for`."""
    if sample_shape is not None and len(sample_shape) == 1:
        return POINTS
    family = name.partition("/")[0]
    if sample_shape == _GREY_28 and family in ("mnist", "digits"):
        return "mnist-classifier"
    if sample_shape == _GREY_28 and family == "fashion_mnist":
        return "fashion-mnist-classifier"
    if sample_shape == _COLOUR_28 and family == "stacked_mnist":
        return "stacked-mnist-classifier"
    return "efficientnet-lite0"


def _maker(name: str) -> Callable[..., Any]:
    """The constructor of the extractor of this name, or of the classifier in this folder."""
    found = lookup(name, ("extractors",))
    return imported(name, found) if found else partial(saved_classifier, name)  # type: ignore[no-any-return]


def _of_module(module: nn.Module, name: str) -> Extractor:
    digest = sha256_of_state(module)
    if is_classifier(module):
        return of_classifier(module, name, digest, by_content=False)
    return Extractor(name, module, digest, by_content=False)

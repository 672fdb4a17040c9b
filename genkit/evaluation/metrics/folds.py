"""Standard errors of scores that have no formula for theirs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from genkit.evaluation.functional import subset_standard_error

FOLDS = 10


def folded(score: Callable[..., tuple[float, ...]], *sets: Tensor, least: int) -> tuple[float, ...] | None:
    """The spread of every number of `score` over tenths of the sets; None where two folds would have too few rows."""
    if min(len(s) for s in sets) < 2 * least:
        return None
    return subset_standard_error(score, *sets, least=least, folds=FOLDS)

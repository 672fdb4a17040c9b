"""Errors that a person can act on: one line that says what was got, what is accepted and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class GenkitError(ValueError):
    """Input that cannot be used. The command line prints its message as one line and exits with code 2."""


class ConditionError(GenkitError):
    """A condition that the generator does not take, or a value outside its range."""


class RecipeError(GenkitError):
    """A recipe, configuration or override that cannot be built; the message starts with the key's path."""


class DataError(GenkitError):
    """Images, points or labels that cannot be used; the message names the file or the index."""


class WeightsError(GenkitError):
    """A weights folder or foreign checkpoint that is missing, damaged, unsafe or of another kind."""


class CheckpointError(GenkitError):
    """A run folder that cannot be written or resumed."""


class TrainingError(GenkitError):
    """Training that cannot go on, such as a loss that is not finite."""


class EvaluationError(GenkitError):
    """A score that would be undefined or misleading for the given sets."""


class UnfinishedRun(UserWarning):
    """Weights were taken from a checkpoint of a run that has not finished; the message says of which iteration."""


LISTED = 60
"""Names that a message tells; nobody reads more."""


def suggest(got: object, accepted: Iterable[str]) -> str:
    """'; did you mean 'x'?' for the nearest accepted name, else the accepted names."""
    names = sorted(accepted)
    near = get_close_matches(str(got), names, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    if len(names) > LISTED:
        return f"; none of the {len(names)} accepted names is like it"
    return f"; accepted: {', '.join(names) if names else 'none'}"

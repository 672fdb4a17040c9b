"""Two domains of one task: a labelled source, and a target whose labels nobody sees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property

from genkit.core.errors import DataError
from genkit.data.dataset import DataSet


class Domains(DataSet):
    """A DataSet, the source, that carries a second one.

    Attributes:
        target: unlabelled samples of the domain to adapt to; training gets them as `Batch.target`.
    """

    target: DataSet

    def remarks(self) -> Iterator[str]:
        """Remarks on both domains."""
        yield from super().remarks()
        yield from self.target.remarks()

    @cached_property
    def fingerprint(self) -> str:
        """A hash of both domains."""
        both = DataSet(self.name, self.x, self.labels).fingerprint + self.target.fingerprint
        return hashlib.sha256(both.encode()).hexdigest()


def domains(source: DataSet, target: DataSet) -> Domains:
    """A labelled source beside a target, whose labels, if it has any, are compared with the source's and dropped.

    Raises:
        DataError: a source without labels, samples of different shapes, or classes that differ.
    """
    name = f"{source.name} to {target.name}"
    if not source.conditions:
        reason = source.conditions.reason
        raise DataError(f"domains: the source {source.name} has no labels; only the target may come without{reason}")
    if source.sample_shape != target.sample_shape or source.x.dtype != target.x.dtype:
        raise DataError(
            f"domains: source samples are {list(source.sample_shape)}, target samples {list(target.sample_shape)}; "
            "set size and channels of one to those of the other"
        )
    _check_classes(source, target)
    both = Domains(name, source.x, source.labels, source.classes, source.report, files=source.files)
    object.__setattr__(both, "target", DataSet(target.name, target.x, report=target.report, files=target.files))
    return both


def _check_classes(source: DataSet, target: DataSet) -> None:
    """Raises DataError if the target names its classes, and they are others."""
    mine, theirs = source.conditions.classes, target.conditions.classes
    if not theirs:
        return
    if mine != theirs:
        raise DataError(f"domains: the source has {mine} classes and the target {theirs}; they must be the same")
    if source.classes and target.classes and source.classes != target.classes:
        a, b = next((a, b) for a, b in zip(source.classes, target.classes, strict=True) if a != b)
        raise DataError(f"domains: the source's class {a!r} is {b!r} in the target; they must be the same, in order")

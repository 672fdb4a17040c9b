"""A data set is one tensor: 8-bit images or points, decoded once, indexed without per-item Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.condition import ConditionSpace
from genkit.core.errors import ConditionError, DataError, shown
from genkit.core.fingerprint import fingerprint
from genkit.core.mixture import PointMixture
from genkit.images.intake import Intake
from genkit.images.pixels import from_uint8


@dataclass(frozen=True, eq=False)
class DataSet:
    """Real samples.

    Attributes:
        name: for reports.
        x: images (N, C, H, W) uint8, or points (N, D) float32; may lie in a memory-mapped file.
        labels: class of every row, (N,) int64; None when unlabelled.
        classes: names of the classes; may be empty.
        report: on the files, if it was read from files.
        unlabelled: reason why there are no labels, if one could expect them.
        mixture: that the points were drawn from, if known.
        files: name of the file of every row; empty when the rows are no files.
        attributes: what else is known of every row: name -> (N,) float32 numbers, or int64 classes.
        columns: what each of the attributes is.
        sided: those of the attributes that a mirrored image has otherwise, such as where something lies.
        mapped: whether rows may have to come from a disk when they are taken.

    Raises:
        DataError: empty, another shape or type, points that are not finite, labels or attributes that do not fit.
    """

    name: str
    x: Tensor
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    report: Intake | None = field(default=None, repr=False)
    unlabelled: str = ""
    mixture: PointMixture | None = field(default=None, repr=False)
    files: tuple[str, ...] = field(default=(), repr=False)
    attributes: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    columns: Mapping[str, Column] = field(default_factory=dict, repr=False)
    sided: tuple[str, ...] = ()
    mapped: bool = False

    def __post_init__(self) -> None:
        images = self.x.dtype == torch.uint8 and self.x.dim() == 4
        points = self.x.dtype == torch.float32 and self.x.dim() == 2
        if not (images or points) or not self.x.numel():
            got = f"{tuple(self.x.shape)} {self.x.dtype}"
            raise DataError(f"{self.name}: needs uint8 (N, C, H, W) or float32 (N, D) with N of at least 1, got {got}")
        if points and not self.x.isfinite().all():
            raise DataError(f"{self.name}: point {int((~self.x.isfinite()).any(1).nonzero()[0])} is not finite")
        if self.labels is not None:
            self._check_labels(self.labels)
        self._check_attributes()

    def _check_labels(self, labels: Tensor) -> None:
        if labels.dtype != torch.int64 or labels.shape != (len(self.x),):
            got = f"{tuple(labels.shape)} {labels.dtype}"
            raise DataError(f"{self.name}: needs one int64 label a row, ({len(self.x)},), got {got}")
        top = len(self.classes) or int(labels.max()) + 1
        bad = (labels < 0) | (labels >= top)
        if bad.any():
            index = int(bad.nonzero()[0])
            raise DataError(f"{self.name}: label {int(labels[index])} of row {index} is not in 0 to {top - 1}")

    def _check_attributes(self) -> None:
        if self.attributes.keys() != self.columns.keys() or "label" in self.columns:
            got = f"{', '.join(self.attributes)} with columns {', '.join(self.columns)}"
            raise DataError(f"{self.name}: every attribute needs a column, and none is called label; got {got}")
        for name, rows in self.attributes.items():
            try:
                checked = self.columns[name].check(name, rows, len(self))
            except ConditionError as misfit:
                raise DataError(f"{self.name}: attribute {shown(name)}: {misfit}") from misfit
            if checked.dtype != rows.dtype or not checked.equal(rows):
                raise DataError(f"{self.name}: attribute {shown(name)} needs {len(self)} rows of {checked.dtype}")

    def __len__(self) -> int:
        return len(self.x)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(C, H, W) or (D,)."""
        return tuple(self.x.shape[1:])

    @cached_property
    def conditions(self) -> ConditionSpace:
        """ "label", with two classes or more, and the columns of the attributes."""
        if self.labels is None:
            return ConditionSpace(self.columns, absent=self.unlabelled)
        classes = len(self.classes) or int(self.labels.max()) + 1
        label = {"label": Labels(classes, self.classes)} if classes >= 2 else {}
        return ConditionSpace({**label, **self.columns})

    def remarks(self) -> Iterator[str]:
        """Remarks on how the files were read, a line each."""
        report = self.report or Intake()
        if self.report:
            part = f"; {len(self):,} of them are taken" if len(self) < report.accepted else ""
            yield f"{self.name}: {report.summary()}{part}"
        yield from (f"{self.name}: {line}" for line in report.warnings())
        if self.unlabelled:
            yield f"{self.name} has no labels: {self.unlabelled}"

    def rows(self, index: Tensor) -> Tensor:
        """Rows `index`, (B,) int64: images (B, C, H, W) float32 in [-1, 1], or points (B, D) float32.

        Raises:
            DataError: a row that does not exist.
        """
        picked = self.stored(index)
        return from_uint8(picked) if picked.dtype == torch.uint8 else picked

    def stored(self, index: Tensor) -> Tensor:
        """The same rows as they are kept, images as uint8 (B, C, H, W), a quarter of the bytes; raises as `rows`."""
        return self._pick(self.x, index)

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        """The conditions of rows `index`, one row each of every column of `conditions`."""
        return {name: self._pick(self._known(name), index) for name in self.conditions}

    def taken(self, name: str, index: Tensor | slice) -> DataSet:
        """The rows `index`, as a set of that name."""
        places = range(len(self))[index] if isinstance(index, slice) else index.tolist()
        return replace(
            self,
            name=name,
            x=self.x[index],
            mapped=self.mapped and isinstance(index, slice),
            labels=None if self.labels is None else self.labels[index],
            files=tuple(self.files[i] for i in places) if self.files else (),
            attributes={key: rows[index] for key, rows in self.attributes.items()},
        )

    def _known(self, name: str) -> Tensor:
        """A condition of all rows."""
        if name != "label":
            return self.attributes[name]
        assert self.labels is not None
        return self.labels

    def _pick(self, values: Tensor, index: Tensor) -> Tensor:
        try:
            return values[index]
        except IndexError as outside:
            raise DataError(f"{self.name} has rows 0 to {len(self) - 1} ({outside})") from outside

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of shape, content, labels and attributes: equal data, equal fingerprint, wherever it came from."""
        return fingerprint(self.x, self.labels, self.attributes)

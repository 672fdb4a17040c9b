"""Decisions of a classifier beside the labels that images come with: wrong names or preprocessing show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.data.dataset import DataSet


class Right(NamedTuple):
    """Of labelled images: their number, the share that is right, and that of the most frequent label."""

    labelled: int
    right: float
    commonest: float

    @property
    def line(self) -> str:
        return f"the classifier is right on {self.right:.0%} of {self.labelled:,} labelled images"

    @property
    def remark(self) -> str:
        """The reason to look again where it is no better than saying one label of all; "" where it is."""
        if self.right > self.commonest:
            return ""
        return (
            f"{self.line}, no more than one label for all would be ({self.commonest:.0%}): see whether --classes has "
            "its order, and --range, --mean, --std and --grey are as in its training"
        )

    def to_json(self) -> dict[str, Any]:
        return {"labelled": self.labelled, "right": self.right}


def decisions(classifier: Any, data: Any, rows: Any) -> Any:
    """Logits of some images.

    Raises:
        WeightsError: some are not finite; names the image.
    """
    import torch

    from genkit.classifiers.fitness import attempt, check_finite
    from genkit.cli.explaining.page import LOOKED_AT

    with torch.no_grad():
        parts = rows.split(LOOKED_AT)
        logits = torch.cat([attempt(classifier, data.rows(k).to(classifier.device)) for k in parts])
    if logits.dim() == 2:
        check_finite(logits, _named(data, rows))
    return logits


def right_on(logits: Tensor, classes: Sequence[str], data: DataSet, rows: Tensor) -> Right | None:
    """Compares decisions with the labels of some rows of `data`; None where they have none that can be compared.

    Args:
        logits: (n, K) of these rows.
        classes: names of the K classes; labels are found by their names, or by their numbers where no name is known and
            there are as many.
    """
    import torch

    labels = data.conditions.labels
    if labels is None:
        return None
    known = [classes.index(name) if name in classes else -1 for name in labels.names]
    if not any(k >= 0 for k in known):
        if labels.classes != len(classes) or any(name != f"class {k}" for k, name in enumerate(classes)):
            return None
        known = list(range(len(classes)))
    wanted = torch.tensor(known)[data.condition(rows)["label"].cpu()]
    there = wanted >= 0
    if not there.any():
        return None
    wanted, said = wanted[there], logits.argmax(1).cpu()[there]
    return Right(len(wanted), (said == wanted).double().mean().item(), wanted.bincount().max().item() / len(wanted))


def _named(data: Any, rows: Any) -> list[str]:
    """Names of the images of some rows: their files, where they are files."""
    return [data.files[i] if data.files else f"image {i} of {data.name}, counted from 0" for i in rows.tolist()]

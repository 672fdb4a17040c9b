"""Decisions of a classifier beside the labels that images come with: wrong names or preprocessing show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.data.dataset import DataSet


NAMED = 5
"""Labels that a line names at most."""


class Right(NamedTuple):
    """Of labelled images: their number, the share that is right, and that of the most frequent label.

    Attributes:
        order: names of the labels where the classes have none, and are taken to be in this order.
    """

    labelled: int
    right: float
    commonest: float
    order: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        said = f"the classifier is right on {100 * self.right:.0f} % of {self.labelled:,} labelled images"
        order = ", ".join(self.order[:NAMED]) + (", ..." if len(self.order) > NAMED else "")
        return f"{said}, its classes taken to be {order}" if order else said

    @property
    def remark(self) -> str:
        """The reason to look again where it is no better than saying one label of all; "" where it is."""
        if self.right > self.commonest:
            return ""
        return (
            f"{self.line}; one label for all would be right on {100 * self.commonest:.0f} %: see whether --classes has "
            "the order of its outputs, and --range, --mean, --std and --grey are as in its training"
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
    order: tuple[str, ...] = ()
    if not any(k >= 0 for k in known):
        if labels.classes != len(classes) or any(name != f"class {k}" for k, name in enumerate(classes)):
            return None
        known, order = list(range(len(classes))), tuple(labels.names)
    wanted = torch.tensor(known)[data.condition(rows)["label"].cpu()]
    there = wanted >= 0
    if not there.any():
        return None
    wanted, said = wanted[there], logits.argmax(1).cpu()[there]
    right, commonest = (said == wanted).double().mean().item(), wanted.bincount().max().item() / len(wanted)
    return Right(len(wanted), right, commonest, order)


def _named(data: Any, rows: Any) -> list[str]:
    """Names of the images of some rows: their files, where they are files."""
    return [data.files[i] if data.files else f"image {i} of {data.name}, counted from 0" for i in rows.tolist()]

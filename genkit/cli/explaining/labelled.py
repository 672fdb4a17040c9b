"""Decisions of a classifier beside the labels that images come with: wrong names or preprocessing show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from genkit.core.errors import some

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.data.dataset import DataSet


NAMED = 5
"""Labels that a line names at most."""
SWAPPED = 0.25
"""Share of images that another order of the classes must fit beyond the one that was given."""
RARE = 0.1
"""Share of the most frequent decision below which another is rare: a batch of 32 has three such images at most."""


class Right(NamedTuple):
    """Of labelled images: their number, the share that is right, and that of the most frequent label.

    Attributes:
        order: names of the labels where the classes have none, and are taken to be in this order.
        unknown: names of labels that are no class, of images that are left out.
        classes: names of the classes, where labels have names too.
        met: numbers of the classes that the labels say.
        best, best_order: the share that would be right if the outputs stood for the classes in the best order, and it.
    """

    labelled: int
    right: float
    commonest: float
    order: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    met: tuple[int, ...] = ()
    best: float = 0.0
    best_order: tuple[str, ...] = ()

    @property
    def of_one_label(self) -> bool:
        return len(self.met) == 1 and not self.unknown

    @property
    def line(self) -> str:
        left_out = f"; labels left out, which are none of {some(self.classes, NAMED)}: {some(self.unknown, NAMED)}"
        said = f"the classifier is right on {100 * self.right:.0f} % of {self.labelled:,} labelled images"
        said += f", its classes taken to be {some(self.order, NAMED)} (--classes names them so)" if self.order else ""
        said += f", all of which are labelled {self.classes[self.met[0]]}" if self.of_one_label else ""
        return said + (left_out if self.unknown else "")

    @property
    def remark(self) -> str:
        """The reason to look again where nothing is known, or where it is no better than saying one label of all."""
        if not self.labelled:
            return (
                f"no label of the images ({some(self.unknown, NAMED)}) is a class of the classifier "
                f"({some(self.classes, NAMED)}), so how often it is right is not known: --classes names "
                "them as the labels are"
            )
        if self.best > self.right + SWAPPED:
            return (
                f"{self.line}; it would be on {100 * self.best:.0f} % if its outputs stood for "
                f"{some(self.best_order, NAMED)} in this order: see whether --classes has the order of its outputs"
            )
        if self.right > self.commonest or self.of_one_label:
            return ""
        if self.unknown:
            return f"{self.line}: see whether --classes names the classes as the labels are"
        return (
            f"{self.line}; one label for all would be right on {100 * self.commonest:.0f} %: see whether --classes has "
            "the order of its outputs, and --range, --mean, --std and --grey are as in its training"
        )

    def to_json(self) -> dict[str, Any]:
        found = {"labelled": self.labelled, "right": self.right} if self.labelled else {}
        return found | ({"order": list(self.order)} if self.order else {})


def remark_on_rare(logits: Tensor, classes: Sequence[str], labelled: Sequence[int]) -> str:
    """Advice where one decision is met among labelled images and rare, so that little is learned of it; else "".

    Args:
        logits: (n, K) of images.
        labelled: classes that some of them have by their labels; of others no more can be shown.
    """
    counts = logits.argmax(1).bincount(minlength=logits.shape[1])
    if not (met := [k for k in labelled if counts[k]]):
        return ""
    k = min(met, key=lambda k: int(counts[k]))
    count = int(counts[k])
    if count >= RARE * counts.max():
        return ""
    return (
        f"the classifier takes {100 * count / len(logits):.2g} % of the images for {classes[k]}, so little is learned "
        "of it; --balanced trains on images of each class as often, by their labels"
    )


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
        classes: names of the K classes; labels are found by their names, in capitals or not, or by their numbers where
            the classes have no names and there are as many.
    """
    import torch

    labels = data.conditions.labels
    if labels is None:
        return None
    if all(name == f"class {k}" for k, name in enumerate(classes)):
        if labels.classes != len(classes):
            names = labels.names or map(str, range(labels.classes))
            return Right(0, 0.0, 0.0, unknown=tuple(names), classes=tuple(classes))
        known, order = list(range(len(classes))), tuple(labels.names)
    elif not labels.names:
        return None
    else:
        numbers = {name.casefold(): k for k, name in reversed(list(enumerate(classes)))}
        own = {name: k for k, name in enumerate(classes)}
        known, order = [own.get(name, numbers.get(name.casefold(), -1)) for name in labels.names], ()
    given = data.condition(rows)["label"].cpu()
    wanted = torch.tensor(known)[given]
    there = wanted >= 0
    unknown = tuple(labels.names[k] for k in given[~there].unique().tolist())
    if not there.any():
        return Right(0, 0.0, 0.0, unknown=unknown, classes=tuple(classes))
    wanted, said = wanted[there], logits.argmax(1).cpu()[there]
    right, commonest = (said == wanted).double().mean().item(), wanted.bincount().max().item() / len(wanted)
    met = tuple(wanted.unique().tolist())
    best, best_order = _best_order(wanted, said, order or tuple(classes))
    return Right(len(wanted), right, commonest, order, unknown, tuple(classes), met, best, best_order)


def _best_order(wanted: Tensor, said: Tensor, classes: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    """The share of decisions that are right if the outputs stand for the classes in the order that fits best."""
    import torch
    from scipy.optimize import linear_sum_assignment

    both = torch.zeros(len(classes), len(classes), dtype=torch.long)
    both.index_put_((said, wanted), torch.ones_like(said), accumulate=True)
    outputs, numbers = linear_sum_assignment(both.numpy(), maximize=True)
    return both[outputs, numbers].sum().item() / len(said), tuple(classes[k] for k in numbers)


def _named(data: Any, rows: Any) -> list[str]:
    """Names of the images of some rows: their files, where they are files."""
    return [data.files[i] if data.files else f"image {i} of {data.name}, counted from 0" for i in rows.tolist()]

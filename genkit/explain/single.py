"""The explanation of one image: what would have to change for it to be of another class. Lang et al. 2021, sec. 3.3.

Independent: the attributes of the class, each alone, ranked by what it does to this very image. Subset: one attribute
after the other, always the one that raises the logit most beside those before, until the decision is the other class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.errors import EvaluationError
from genkit.core.evaluating import evaluating
from genkit.explain.checks import check_taken
from genkit.explain.difference import difference, on_white
from genkit.explain.encoded import Encoded, Range, Step
from genkit.explain.explainable import Explainable
from genkit.explain.explanation import Attribute, Explanation
from genkit.explain.flips import put_on
from genkit.explain.readings import FAINT
from genkit.explain.sheet_layout import INK, SOFT, SheetRow, laid_out
from genkit.explain.words import percent, quoted
from genkit.images.pixels import to_channels, to_uint8

ODD = 2
"""Distance of an image's reconstruction, of that of the page's images, up to which it is one like them."""


@dataclass(frozen=True)
class Change:
    """An image after one or several attributes.

    Attributes:
        attributes: those changed, in the order in which they were chosen.
        image: (C, H, W) uint8.
        effect: on the target's logit, against the reconstruction.
        probability: of the target class.
        decision: number of the class.
        put: the original, with what was changed in the redrawn image added to it: (C, H, W) uint8.
        put_probability, put_decision: of that.
    """

    attributes: tuple[Attribute, ...]
    image: Tensor
    effect: float
    probability: float
    decision: int
    put: Tensor
    put_probability: float
    put_decision: int


@dataclass(frozen=True)
class ImageExplanation:
    """Changes by which an image would become one of class `target`.

    Attributes:
        classes: their names.
        original, reconstruction: (C, H, W) uint8.
        probabilities, reconstructed: (K,), of the image and of its reconstruction.
        independent: each attribute alone, the one that does most first.
        subset: after one, two, ... attributes together, until the decision is `target` or there are no more.
        l1: mean absolute difference of the image and its reconstruction, in [-1, 1] units.
    """

    classes: tuple[str, ...]
    target: int
    original: Tensor
    reconstruction: Tensor
    probabilities: Tensor
    reconstructed: Tensor
    independent: list[Change]
    subset: list[Change]
    l1: float

    @property
    def flipped(self) -> bool:
        """Whether the attributes of `subset` make it one of the target class."""
        return bool(self.subset) and self.subset[-1].decision == self.target

    @property
    def turned(self) -> bool:
        """Whether the original is of the target class with the same differences."""
        return bool(self.subset) and self.subset[-1].put_decision == self.target


def explain_image(generator: Explainable, explanation: Explanation, x: Tensor, target: int | str) -> ImageExplanation:
    """The changes by which x, (1, C, H, W) in [-1, 1], would be of class `target`, its number or name.

    Raises:
        EvaluationError: an explanation of another generator, or an image that the reconstruction shows to be `target`.
        DataError, GenkitError: an image of another shape, a class without attributes.
    """
    check_taken(generator, x)
    y = explanation.target(target)
    if len(x) != 1:
        raise EvaluationError(f"one image at a time is explained, got {len(x)}")
    assert isinstance(generator, nn.Module)
    range_ = explanation.range_for(generator)
    with evaluating(generator):
        encoded = Encoded(generator, x.cpu())
        if int(encoded.logits.argmax()) == y:
            own, wanted = (explanation.classes[k] for k in (int(encoded.seen.argmax()), y))
            raise EvaluationError(
                f"the classifier takes this image for {wanted} already; ask for another class"
                if own == wanted
                else f"the classifier takes this image for {own}, but as it is redrawn for {wanted} already, so what "
                "would have to change cannot be shown"
            )
        at = _At(encoded, range_, y, explanation.settings.get("shift", 1.0))
        found = explanation.attributes[y]
        return ImageExplanation(
            explanation.classes,
            y,
            to_uint8(encoded.x[0]),
            to_uint8(at.redrawn[0]),
            encoded.seen.softmax(1)[0],
            encoded.logits.softmax(1)[0],
            independent(at, found),
            subset(at, found),
            (encoded.x - at.redrawn).abs().mean().item(),
        )


class _At:
    """One image and what becomes of its logits."""

    def __init__(self, encoded: Encoded, range_: Range, y: int, shift: float):
        self.encoded, self.range, self.y, self.shift = encoded, range_, y, shift
        self.redrawn = encoded.images()

    def changes(self, sets: Sequence[Sequence[Attribute]]) -> list[Change]:
        """The image after each of several sets of attributes, in one batch."""
        if not sets:
            return []
        steps: list[list[Step]] = [[attribute.step for attribute in attributes] for attributes in sets]
        flat = torch.cat([self.range.moved(self.encoded.flat, each, self.shift) for each in steps])
        found = list(self.encoded.pictured(torch.zeros(len(sets), dtype=torch.long), flat))
        images, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        before, y = self.encoded.logits[0, self.y], self.y
        put, decided = put_on(self.encoded, self.encoded.x, self.redrawn, images)
        return [
            Change(
                tuple(which),
                to_uint8(image),
                (row[y] - before).item(),
                row.softmax(0)[y].item(),
                int(row.argmax()),
                to_uint8(beside),
                after.softmax(0)[y].item(),
                int(after.argmax()),
            )
            for which, image, row, beside, after in zip(sets, images, logits, put, decided, strict=True)
        ]


def independent(at: _At, attributes: Sequence[Attribute]) -> list[Change]:
    """Each of the attributes alone, ranked by its effect on this image."""
    return sorted(at.changes([[a] for a in attributes]), key=lambda change: change.effect, reverse=True)


def subset(at: _At, attributes: Sequence[Attribute]) -> list[Change]:
    """Attributes added greedily until the decision flips; those that would lower the logit are not added."""
    path, left, best = list[Change](), list(attributes), 0.0
    while left and (not path or path[-1].decision != at.y):
        before = path[-1].attributes if path else ()
        change = max(at.changes([[*before, a] for a in left]), key=lambda found: found.effect)
        if change.effect <= best:
            break
        path.append(change)
        best = change.effect
        left = [a for a in left if a is not change.attributes[-1] and a.s != change.attributes[-1].s]
    return path


def doubts_of_page(explanation: Explanation) -> list[str]:
    """A line that the explanation is not to be trusted, with its first reason; none where it is."""
    if not (reasons := explanation.checks.reasons):
        return []
    more = f", the first of {len(reasons)} reasons" if len(reasons) > 1 else ""
    return [f"the page it is found by is not to be trusted{more}: {reasons[0]}"]


def doubts(found: ImageExplanation, explanation: Explanation) -> list[str]:
    """Reasons not to trust what is found of one image: those of the explanation, and how this image is redrawn."""
    checks, lines = explanation.checks, doubts_of_page(explanation)
    if found.l1 > max(FAINT * checks.l1_of_mean_image, ODD * checks.l1):
        lines.append(
            f"this image is not redrawn faithfully: a pixel is off by {percent(found.l1 / 2)} of the way from black to "
            f"white on average, where those of the page are off by {percent(checks.l1 / 2)}; it may be of another kind"
        )
    return lines


def single_picture(found: ImageExplanation, explanation: Explanation) -> Tensor:
    """(3, H, W) uint8: original, redrawn, then with one, two, ... attributes changed, and the original so changed, each
    with the probability of the target; below, what each differs in from the one before it or from the redrawn one."""
    number, target = explanation.numbers(found.target), found.target
    original, before = to_channels(found.original, 3), to_channels(found.reconstruction, 3)
    after = [to_channels(change.image, 3) for change in found.subset]
    put = [to_channels(found.subset[-1].put, 3)] if after else []
    blank = torch.full_like(before, 255)
    pairs = [(original, before), *((before, image) for image in after)]
    below = [blank, *(on_white(difference(a, b)) for a, b in pairs)]
    chances = [float(p[target]) for p in (found.probabilities, found.reconstructed)]
    chances += [change.probability for change in found.subset]
    chances += [found.subset[-1].put_probability] if put else []
    heads = ["original", "redrawn", *(f"and {number.get(c.attributes[-1].s, '?')}" for c in found.subset)]
    heads += ["on original"] if put else []
    shown = SheetRow("", [torch.stack([original, before, *after, *put])], [[percent(p) for p in chances]])
    differs = SheetRow("difference", [torch.stack([*below, *(blank for _ in put)])], [["" for _ in chances]])
    lines = [
        (f"What would make it {quoted(found.classes[target])}", INK),
        (f"Attributes by their numbers on the page; below, the probability of {quoted(found.classes[target])}.", SOFT),
    ]
    return laid_out([shown, differs], heads, lines)


def single_json(found: ImageExplanation, explanation: Explanation) -> dict[str, Any]:
    """Everything but the pictures; attributes have the numbers that they have on the page of `explanation`."""
    number = explanation.numbers(found.target)
    return {
        "classes": list(found.classes),
        "target": found.target,
        "flipped": found.flipped,
        "put_on_the_original": found.turned,
        "l1": found.l1,
        "doubts": doubts(found, explanation),
        "probabilities": found.probabilities.tolist(),
        "reconstructed": found.reconstructed.tolist(),
        "independent": [_json(change, number) for change in found.independent],
        "subset": [_json(change, number) for change in found.subset],
    }


def _json(change: Change, number: Mapping[int, int]) -> dict[str, Any]:
    names = ("layer", "channel", "s", "direction")
    attributes = [{"number": number[a.s], **{k: getattr(a, k) for k in names}} for a in change.attributes]
    told = ("effect", "probability", "decision", "put_probability", "put_decision")
    rest = {k: getattr(change, k) for k in told}
    return {"attributes": attributes, **rest}

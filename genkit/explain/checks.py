"""Checks of images, generator and classifier: refusals, and reasons not to trust what is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genkit.core.errors import DataError, EvaluationError, kind_of
from genkit.explain.encoded import Encoded
from genkit.explain.explainable import Explainable
from genkit.explain.explanation import Checks
from genkit.images.pixels import check_images

LEAST = 10
"""Images that are searched at least: each coordinate moves within the range that it has over them."""
FAINT, DISAGREES, CERTAIN, SATURATED, FEW, JUMPY, UNSEEN, LOST = 0.5, 0.9, 0.999, 0.5, 0.5, 0.1, 0.25, 0.25
"""Limits of the reasons. UNSEEN: attributes of digits and shapes, which are seen at once, change 0.4 to 0.7 of what is
lost; of solar cells, whose reconstructions lose all grain, 0.12. LOST: put on the originals, the attributes of planted
reasons turn 0.5 to 1 of what they turn in redrawn images, those of digits a third."""
NAMED = 8
"""Classes that a reason names at most."""


def check_given(generator: Explainable, images: Tensor) -> None:
    """Raises DataError for images that the generator does not take, EvaluationError for a generator of another kind."""
    if not isinstance(generator, Explainable):
        raise EvaluationError(f"{kind_of(generator)} explains no classifier; a StyleEx does")
    check_images(images, generator.sample_shape)
    if len(images) < 2 * LEAST:
        raise DataError(
            f"{len(images)} images are too few: at least {LEAST} are searched, and {LEAST} others show what was found"
        )


def checked(encoded: Encoded) -> Checks:
    """Distances of the reconstructions, and reasons not to trust what is found by them.

    Raises:
        EvaluationError: the classifier decides alike of all images, or of all reconstructions, or these are no better
            than the mean image.
    """
    for logits, what in ((encoded.seen, "images"), (encoded.logits, "reconstructions")):
        if len(classes := logits.argmax(1).unique()) == 1:
            raise EvaluationError(
                f"the classifier gives all {len(logits)} {what} class {int(classes)}; to explain a decision takes "
                "both sides of it: give images of more classes" + (", or train longer" if what != "images" else "")
            )
    l1 = distance(encoded)
    mean = (encoded.x - encoded.x.mean(0)).abs().mean().item()
    if l1 >= mean:
        raise EvaluationError(
            f"reconstructions are further from the images ({l1:.3g}) than the mean image is ({mean:.3g}): the "
            "generator looks untrained; train it longer, on images like these"
        )
    agreement = (encoded.seen.argmax(1) == encoded.logits.argmax(1)).double().mean().item()
    return Checks(l1, mean, agreement, list(_reasons(encoded, l1, mean, agreement)))


def beyond(generator: Explainable, classes: Sequence[str]) -> Iterator[str]:
    """A reason not to trust an explanation by images of `classes` beyond those that the classifier tells apart."""
    known = tuple(getattr(getattr(generator, "classifier", None), "class_names", ()))
    others = [name for name in classes if name not in known]
    if known and others and set(known) <= set(classes):
        yield (
            f"the images are also of {', '.join(others[:NAMED])}{', ...' if len(others) > NAMED else ''}, and the "
            f"classifier knows {' and '.join(known[:NAMED])} alone: what it says of the others means nothing; give "
            f"images of its classes, as {{type: some_classes, data: ..., classes: [{', '.join(known)}]}} does"
        )


def distance(encoded: Encoded) -> float:
    """Mean absolute difference of images and reconstructions."""
    rows = torch.arange(len(encoded)).split(encoded.batch)
    total = sum((encoded.x[k] - encoded.images(k)).abs().double().sum().item() for k in rows)
    return total / encoded.x.numel()


def _reasons(encoded: Encoded, l1: float, mean: float, agreement: float) -> Iterator[str]:
    if l1 > FAINT * mean:
        yield (
            f"reconstructions are more than half as far from their images as the mean image is ({l1:.3g}, {mean:.3g}): "
            "what the generator does not show cannot be found"
        )
    if agreement < DISAGREES:
        yield (
            f"the classifier decides otherwise of {1 - agreement:.0%} of the reconstructions than of their images: it "
            "is explained on pictures that it sees differently"
        )
    certain = (encoded.seen.softmax(1).amax(1) > CERTAIN).double().mean().item()
    if certain > SATURATED:
        yield (
            f"the classifier is certain (over {CERTAIN:.1%}) of {certain:.0%} of the images: appended "
            "probabilities that are nearly 0 or 1 tell the generator little; train it with a higher `temperature`"
        )


def doubts(names: dict[int, str], chosen: dict[int, list[float]], random: dict[int, list[float]]) -> Iterator[str]:
    """Reasons that flips on other images give, by target class."""
    for y, shares in chosen.items():
        if shares and shares[-1] < FEW:
            yield (
                f"towards {names[y]}: all {len(shares)} attributes together change {shares[-1]:.0%} of the decisions: "
                "they are not what decides"
            )
        if random[y] and random[y][-1] > JUMPY:
            yield (
                f"towards {names[y]}: as many coordinates at random change {random[y][-1]:.0%} of the decisions: "
                "whatever is changed moves the classifier"
            )
        if not shares:
            yield f"towards {names[y]}: no attribute was found, or no other image could show it"


def unseen(names: dict[int, str], images: dict[int, Tensor]) -> Iterator[str]:
    """A reason for each target class whose attributes hardly change what one sees.

    Args:
        images: target class -> (n, 3, C, H, W) uint8: originals, their reconstructions, what attributes make of these.
    """
    for y, triples in images.items():
        original, reconstruction, changed = triples.double().unbind(1)
        lost, change = ((one - reconstruction).abs().mean().item() for one in (original, changed))
        if change < UNSEEN * lost:
            yield (
                f"towards {names[y]}: an attribute changes the pictures by {change / lost:.0%} of what the "
                "reconstructions lose of the images: what decides may be too faint to be seen, or not shown at all"
            )


def redrawing(names: dict[int, str], chosen: dict[int, list[float]], transferred: dict[int, float]) -> Iterator[str]:
    """A reason for each target class whose attributes sway little but redrawn images.

    Args:
        transferred: see `genkit.explain.flips.on_originals`.
    """
    for y, share in transferred.items():
        if share < LOST * chosen[y][-1]:
            yield (
                f"towards {names[y]}: the attributes together change {chosen[y][-1]:.0%} of the decisions on redrawn "
                f"images, and {share:.0%} where the same differences are put on the originals: what sways the "
                "classifier may be how images are redrawn"
            )

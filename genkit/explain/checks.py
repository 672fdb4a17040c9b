"""Checks of images, generator and classifier: refusals, and reasons not to trust what is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from genkit.core.errors import DataError, EvaluationError, kind_of, some
from genkit.core.randomness import stable_seed
from genkit.explain.encoded import Encoded
from genkit.explain.explainable import Explainable, class_names
from genkit.explain.explanation import Checks
from genkit.explain.readings import readings
from genkit.explain.words import classes_of, percent, quoted, towards
from genkit.images.pixels import check_images

LEAST = 10
"""Images that are searched at least: each coordinate moves within the range that it has over them."""
CERTAIN, SATURATED = 0.999, 0.5
"""A probability, and a share of images above it."""
FEW, JUMPY = 0.5, 0.1
"""Shares of decisions: less than the first by attributes, or more than the second by random coordinates."""
UNSEEN = 0.25
"""Of what is lost: attributes of digits and shapes, seen at once, change 0.4 to 0.7, of solar cells 0.12."""
SWAYS = 0.25
"""Of what attributes turn in redrawn images: planted reasons turn 0.5 to 1 of it in originals, digits 0.5 to 0.8."""
PAIRS = 4
"""Draws of a partner for each image, of those that tell whether what is redrawn decides."""
NAMED = 8
"""Classes that a reason names at most."""


def check_given(generator: Explainable, images: Tensor) -> None:
    """Raises DataError for images that the generator does not take, EvaluationError for a generator of another kind."""
    check_taken(generator, images)
    check_number(len(images))


def check_taken(generator: Explainable, images: Tensor) -> None:
    """As `check_given`, of any number of images."""
    if not isinstance(generator, Explainable):
        raise EvaluationError(f"{kind_of(generator)} explains no classifier; a StyleEx does")
    check_images(images, generator.sample_shape)
    if images.dtype != torch.float32:
        raise DataError(f"images must be float32, got {images.dtype}")


def check_number(images: int) -> None:
    """Raises DataError for too few images."""
    if images < 2 * LEAST:
        raise DataError(
            f"{images} images are too few: at least {LEAST} are searched, and {LEAST} others show what was found"
        )


REDRAWN = "reconstructions"


class Untrained(EvaluationError):
    """A generator that more training might mend."""


def check_decisions(logits: Tensor, what: str = "images", names: Sequence[str] = ()) -> None:
    """Raises EvaluationError where the classifier decides alike of all; logits: (n, K)."""
    if len(classes := logits.argmax(1).unique()) == 1:
        name = names[int(classes)] if names else f"class {int(classes)}"
        raise (Untrained if what == REDRAWN else EvaluationError)(
            f"the classifier takes all {len(logits)} {what} for {name}; to explain a decision takes "
            "both sides of it: give images of more classes" + (", or train longer" if what == REDRAWN else "")
        )


def checked(encoded: Encoded) -> Checks:
    """Distances of the reconstructions, and reasons not to trust what is found by them.

    Raises:
        EvaluationError: the classifier decides alike of all images, or of all reconstructions, or these are no better
            than the mean image.
    """
    names = class_names(encoded.generator, encoded.seen.shape[1])
    check_decisions(encoded.seen, names=names)
    check_decisions(encoded.logits, REDRAWN, names)
    l1 = distance(encoded)
    mean = (encoded.x - encoded.x.mean(0)).abs().mean().item()
    if l1 >= mean:
        raise Untrained(
            f"reconstructions are further from the images ({l1:.3g}) than the mean image is ({mean:.3g}): the "
            "generator looks untrained; train it longer, on images like these, or give more of the kind it knows"
        )
    agreement = (encoded.seen.argmax(1) == encoded.logits.argmax(1)).double().mean().item()
    found = Checks(l1, mean, agreement, [], redrawn_decides(encoded))
    failed = [each.reason for each in readings(found) if not each.well]
    return replace(found, reasons=[*failed, *_saturated(encoded)])


def beyond(generator: Explainable, classes: Sequence[str]) -> Iterator[str]:
    """A reason not to trust an explanation by images of `classes` beyond those that the classifier tells apart."""
    known = tuple(getattr(getattr(generator, "classifier", None), "class_names", ()))
    others = [name for name in classes if name not in known]
    if known and others and set(known) <= set(classes):
        yield (
            f"the images are also of {some(others, NAMED)}, and the "
            f"classifier knows {' and '.join(known[:NAMED])} alone: what it says of the others means nothing; give "
            f"images of its classes, as {{type: some_classes, data: ..., classes: [{', '.join(known)}]}} does"
        )


def distance(encoded: Encoded) -> float:
    """Mean absolute difference of images and reconstructions."""
    rows = torch.arange(len(encoded)).split(encoded.batch)
    total = sum((encoded.x[k] - encoded.images(k)).abs().double().sum().item() for k in rows)
    return total / encoded.x.numel()


@torch.no_grad()
def redrawn_decides(encoded: Encoded) -> float | None:
    """Share of pairs of images of two classes of which the decision goes with the one redrawn, where what redrawing
    lost of the other one is added to it; of all that go with one of both.

    Of images that are decided alike when redrawn; None without two classes of them.
    """
    own = encoded.seen.argmax(1)
    kept = (own == encoded.logits.argmax(1)).nonzero().flatten()
    rng = torch.Generator().manual_seed(stable_seed(0, "pairs of redrawn images"))
    pairs = torch.cat([torch.stack([kept, kept[torch.randperm(len(kept), generator=rng)]], 1) for _ in range(PAIRS)])
    pairs = pairs[own[pairs[:, 0]] != own[pairs[:, 1]]]
    images, goes_with = encoded.images(torch.arange(len(encoded))), torch.zeros(2, dtype=torch.float64)
    for rows in pairs.split(encoded.batch):
        redrawn, other = rows.unbind(1)
        mixed = images[redrawn] + encoded.x[other] - images[other]
        decided = encoded.generator.logits(mixed.clamp(-1, 1).to(encoded.device)).argmax(1).cpu()
        goes_with += (decided[:, None] == own[rows]).sum(0)
    return (goes_with[0] / goes_with.sum()).item() if goes_with.any() else None


def _saturated(encoded: Encoded) -> Iterator[str]:
    certain = (encoded.seen.softmax(1).amax(1) > CERTAIN).double().mean().item()
    if certain > SATURATED:
        yield (
            f"the classifier is certain (over {CERTAIN:.1%}) of {certain:.0%} of the images: appended "
            "probabilities that are nearly 0 or 1 tell the generator little; train it with a higher `temperature`"
        )


def doubts(names: dict[int, str], chosen: dict[int, list[float]], random: dict[int, list[float]]) -> Iterator[str]:
    """Reasons that flips on other images give, one for all target classes that have it."""
    if few := {names[y]: shares[-1] for y, shares in chosen.items() if shares and shares[-1] < FEW}:
        yield f"all attributes together change few of the decisions: {towards(few)}; they are not what decides"
    if jumpy := {names[y]: shares[-1] for y, shares in random.items() if shares and shares[-1] > JUMPY}:
        yield (
            f"as many coordinates at random change decisions too: {towards(jumpy)}; whatever is changed moves the "
            "classifier"
        )
    if none := [quoted(names[y]) for y, shares in chosen.items() if not shares]:
        yield f"no attribute was found towards {classes_of(none)}, or no other image could show it"


def unseen(names: dict[int, str], images: dict[int, Tensor]) -> Iterator[str]:
    """A reason where attributes hardly change what one sees.

    Args:
        images: target class -> (n, 3, C, H, W) uint8: originals, their reconstructions, what attributes make of these.
    """
    faint = dict[str, float]()
    for y, triples in images.items():
        original, reconstruction, changed = triples.double().unbind(1)
        lost, change = ((one - reconstruction).abs().mean().item() for one in (original, changed))
        if change < UNSEEN * lost:
            faint[names[y]] = change / lost
    if faint:
        yield (
            f"an attribute changes the pictures by little: {towards(faint)} of what the redrawn images lose; what "
            "decides may be too faint to be seen, or not shown at all"
        )


def redrawing(names: dict[int, str], chosen: dict[int, list[float]], transferred: dict[int, float]) -> Iterator[str]:
    """A reason where attributes sway redrawn images, and hardly the originals.

    Args:
        transferred: see `genkit.explain.flips.on_originals`.
    """
    hardly = [
        f"{percent(share)} in place of {percent(chosen[y][-1])} towards {quoted(names[y])}"
        for y, share in transferred.items()
        if chosen[y][-1] >= FEW and share < SWAYS * chosen[y][-1]
    ]
    if hardly:
        yield (
            "all attributes together change far fewer decisions where the same differences are put on the originals: "
            f"{classes_of(hardly)}; what sways the classifier may be how images are redrawn"
        )

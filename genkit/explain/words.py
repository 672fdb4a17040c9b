"""Numbers of an explanation as plain words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isnan

from genkit.explain.explanation import Attribute
from genkit.images.property_changes import IN_WORDS

HARDLY, CLEARLY, STRONGLY = 0.15, 0.5, 1.0
"""Changes in deviations from which on they are named a little, clear and strong."""

MORE_AND_LESS = {
    "brightness": ("the image is {} brighter", "the image is {} darker"),
    "saturation": ("the image is {} more colourful", "the image is {} greyer"),
    IN_WORDS["area"]: ("{} more of it stands out", "{} less of it stands out"),
    IN_WORDS["aspect"]: ("it is {} taller for its width", "it is {} wider for its height"),
    IN_WORDS["across"]: ("its centre of mass lies {} further right", "its centre of mass lies {} further left"),
    IN_WORDS["down"]: ("its centre of mass lies {} lower", "its centre of mass lies {} higher"),
}
"""Sentences about an image of which there is more, or less, of a property; {} takes "a little", "clearly" or "much"."""

CENTRES = {
    IN_WORDS["across"]: "how far right its centre of mass lies",
    IN_WORDS["down"]: "how far down its centre of mass lies",
}
"""Names of the centre's places: where a part fades it moves too, though nothing else does, so that it is told later."""

PERCENT = "\N{NO-BREAK SPACE}%"
"""Behind the number of a percentage, on the same line."""
FEW = 20
"""Images of which a share says little: half of them is 30 to 70 % of all others."""
NAMED = 6
"""Classes that a sentence names at most."""


def percent(share: float) -> str:
    """42 %, with a decimal below 10 % and near 100 %, where it says more; neither none nor all that is not."""
    if isnan(share):
        return "an unknown share"
    number = 100 * share
    fine = 0 < number < 9.95 or 99.05 <= number < 100
    text = f"{number:.1f}" if fine else f"{number:.0f}"
    text = {"0.0": "<0.1", "100.0": ">99.9"}.get(text, text) if fine else text
    return f"{text}{PERCENT}"


def between(shares: Collection[float]) -> str:
    """38 to 52 %, or one number where all are the same."""
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low.removesuffix(PERCENT)} to {high}"


def moved(
    moves: Mapping[str, float], categories: Collection[str] = (), drifts: Mapping[str, float] | None = None
) -> list[tuple[str, str]]:
    """(property and what becomes of it, in two parts), the largest change first, what hardly changes last.

    Of changes that the same word is used for, "much" or "clearly", those of the centre of mass come last.

    Args:
        categories: properties that are one of several classes.
        drifts: changes without their sign. What clearly changes, and up in some images and down in others, as hues do,
            is told by these.
    """
    either = {k: drift for k, drift in (drifts or {}).items() if drift >= max(CLEARLY, 2 * abs(moves[k]))}
    far = {name: either.get(name, abs(move)) for name, move in moves.items()}
    order = sorted(far, key=lambda name: (-_degree(far[name]), name in CENTRES, -far[name]))
    still = [name for name in order if far[name] < HARDLY]

    def row(name: str) -> tuple[str, str]:
        if name in categories:
            return name, f"becomes another one in {percent(moves[name])} of the images"
        if name in either:
            return name, f"changes {_adverb(far[name])}, either way, {_spreads(far[name])}"
        return _of_size(name, moves[name])

    rows = [row(name) for name in order if name not in still]
    if not rows:
        return [("Nothing that is measured", "changes much here: look, and name it yourself")] if still else []
    if still:
        rows.append((listed([CENTRES.get(name, name) for name in still]), f"hardly change{'s' * (len(still) == 1)}"))
    return rows


def _of_size(name: str, change: float) -> tuple[str, str]:
    size, less = abs(change), change < 0
    if name in MORE_AND_LESS:
        return MORE_AND_LESS[name][less].format(("a little", "clearly", "much")[_degree(size)]), _spreads(size)
    return name, f"{('rises', 'falls')[less]} {_adverb(size)}, {_spreads(size)}"


def _degree(size: float) -> int:
    return 2 if size >= STRONGLY else 1 if size >= CLEARLY else 0


def _adverb(size: float) -> str:
    return ("a little", "clearly", "strongly")[_degree(size)]


def _spreads(size: float) -> str:
    return f"by {size:.1f} times the usual spread"


def effect(attribute: Attribute, name: str) -> str:
    """A sentence: in how many of all images, and how far, an attribute moves the classifier towards its class."""
    effects = attribute.effects.float()
    share, middle, most = float((effects > 0).float().mean()), float(effects.median()), float(effects.max())
    half = f"half of all by {middle:.2g} logits or more, " if middle > 0 else ""
    far = f": {half}one by {most:.2g}" if most > 0 else ""
    return f"Of all {len(effects):,} images searched, {percent(share)} move towards {quoted(name)}{far}"


def enough(
    shares: Sequence[float],
    random: Sequence[float],
    name: str,
    count: int | None = None,
    transferred: float | None = None,
) -> str:
    """A sentence or three: the share of `count` images that the first attributes turn, and of the originals."""
    if not shares:
        return f"No attribute was found that turns images into {quoted(name)}."
    images = f"{count:,} image{'s' * (count != 1)}" if count is not None else "the images"
    few = " So few images say little." if count is not None and count < FEW else ""
    seen = "that the search has not seen, and that the classifier calls something else, into"
    first = f"The first change alone turns {percent(shares[0])} of {images} {seen}"
    more = [f"the first {i} together {percent(shares[i - 1])}" for i in (3, 10) if i <= len(shares)]
    against = f" As many changes picked at random turn {percent(max(random))} at most." if random else ""
    put = "Put on the originals in place of the redrawn images, the same differences together turn"
    originals = "" if transferred is None else f" {put} {percent(transferred)}."
    return f"{first} {quoted(name)}{''.join(f'; {part}' for part in more)}.{against}{originals}{few}"


def towards(shares: Mapping[str, float]) -> str:
    """30 % towards “4” and 21 % towards “9”; of many classes the first ones."""
    return classes_of([f"{percent(share)} towards {quoted(name)}" for name, share in shares.items()])


def classes_of(said: Sequence[str]) -> str:
    """Things said of a class each, in one sentence; of many classes those of the first ones."""
    more = len(said) - NAMED
    return listed([*said[:NAMED], f"{more:,} more"] if more > 0 else said)


def quoted(name: str) -> str:
    """The name of a class in a sentence."""
    return f"“{name}”"


def sorts(classes: Sequence[str]) -> str:
    """The classes in a sentence, or their number where they are many."""
    return f"{len(classes):,} classes" if len(classes) > NAMED else listed([quoted(name) for name in classes])


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"

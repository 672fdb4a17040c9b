"""Numbers of an explanation as plain words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isnan

from genkit.explain.checks import DECIDES, DISAGREES, FAINT
from genkit.explain.explanation import Attribute, Checks
from genkit.images.property_changes import IN_WORDS

HARDLY, CLEARLY, STRONGLY = 0.15, 0.5, 1.0
"""Changes in deviations from which on they are named a little, clear and strong."""

MORE_AND_LESS = {
    "brightness": ("the image is {} brighter", "the image is {} darker"),
    "saturation": ("the image is {} more colourful", "the image is {} greyer"),
    IN_WORDS["area"]: ("{} more of it stands out", "{} less of it stands out"),
    IN_WORDS["aspect"]: ("it is {} taller for its width", "it is {} wider for its height"),
    IN_WORDS["across"]: ("it lies {} further right", "it lies {} further left"),
    IN_WORDS["down"]: ("it lies {} lower", "it lies {} higher"),
}
"""Sentences about an image of which there is more, or less, of a property; {} takes "a little", "clearly" or "much"."""

NAMED = 6
"""Classes that a sentence names at most."""


def percent(share: float) -> str:
    """42 %, with a decimal below 10 % and near 100 %, where it says more."""
    if isnan(share):
        return "an unknown share"
    number = 100 * share
    text = f"{number:.1f}" if 0 < number < 10 or 99 < number < 100 else f"{number:.0f}"
    return f"{text}\N{NO-BREAK SPACE}%"


def moved(
    moves: Mapping[str, float], categories: Collection[str] = (), drifts: Mapping[str, float] | None = None
) -> list[tuple[str, str]]:
    """(property and what becomes of it, in two parts), the largest change first, what hardly changes last.

    Args:
        categories: properties that are one of several classes.
        drifts: changes without their sign. What clearly changes, and up in some images and down in others, as hues do,
            is told by these.
    """
    either = {k: drift for k, drift in (drifts or {}).items() if drift >= max(CLEARLY, 2 * abs(moves[k]))}
    far = {name: either.get(name, abs(move)) for name, move in moves.items()}
    order = sorted(far, key=lambda name: -far[name])
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
    return [*rows, (listed(still), "hardly changes" if len(still) == 1 else "hardly change")] if still else rows


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
    """A sentence: in how many images, and how far, an attribute moves the classifier towards its class."""
    effects = attribute.effects.float()
    share, middle = float((effects > 0).float().mean()), float(effects.median())
    half = f"; half of them by {middle:.2g} logits or more" if middle > 0 else ""
    return f"Moves the classifier towards {quoted(name)} in {percent(share)} of {len(effects):,} images{half}"


def enough(shares: Sequence[float], random: Sequence[float], name: str, transferred: float | None = None) -> str:
    """A sentence or three: the share of images that the first attributes turn, and of the originals."""
    if not shares:
        return f"No attribute was found that turns images into {quoted(name)}."
    first = (
        f"The first change alone turns {percent(shares[0])} of the images that the classifier calls something else into"
    )
    more = [f"the first {i} together {percent(shares[i - 1])}" for i in (3, 10) if i <= len(shares)]
    against = f" As many changes picked at random turn {percent(max(random))} at most." if random else ""
    put = "Put on the originals in place of the redrawn images, the same differences together turn"
    originals = "" if transferred is None else f" {put} {percent(transferred)}."
    return f"{first} {quoted(name)}{''.join(f'; {part}' for part in more)}.{against}{originals}"


def reading(checks: Checks) -> list[tuple[str, str, bool]]:
    """(what was checked, what was found, whether it is well) of reconstructions, agreement and what is lost."""
    better = checks.l1 <= FAINT * checks.l1_of_mean_image
    drawn = (
        f"A pixel is off by {percent(checks.l1 / 2)} of the way from black to white, on average; it would be off by "
        f"{percent(checks.l1_of_mean_image / 2)} if the average image were shown every time."
    )
    kept = f"It decides the same about {percent(checks.agreement)} of the images when they are redrawn."
    rows = [
        ("Are the images redrawn faithfully?", drawn, better),
        ("Does the classifier see the same in them?", kept, checks.agreement >= DISAGREES),
    ]
    if (decides := checks.redrawn_decides) is not None:
        lost = (
            "Where one image is redrawn, and what redrawing loses of one of another class is added, "
            f"{percent(decides)} of the decisions go with the redrawn one."
        )
        rows.append(("Does it decide by what is redrawn?", lost, decides >= DECIDES))
    return rows


def quoted(name: str) -> str:
    """The name of a class in a sentence."""
    return f"“{name}”"


def sorts(classes: Sequence[str]) -> str:
    """The classes in a sentence, or their number where they are many."""
    return f"{len(classes):,} classes" if len(classes) > NAMED else listed([quoted(name) for name in classes])


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"

"""Verdicts: what a score says, in words, beside what real samples get when they are scored against real ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

NEAR, FAR = 1.5, 10.0
"""Times the floor up to which a distance is as good as real, and from which on it is far."""
ENOUGH = 100
"""Samples of each side from which on a score is put into words: of fewer, one score contradicts the other."""
CERTAIN = 2 * math.sqrt(2)
"""Standard errors by which a score differs from that of real samples, which scatters as much, surely."""
SHORT = 0.8
"""Share of what real samples get from which on a score is nearly theirs."""


class Words(NamedTuple):
    """The words for a score.

    Attributes:
        at_worst: a sentence for its worst value; empty where it has none.
        says: a value as a sentence.
    """

    at_worst: str
    says: Callable[[float], str]


def verdict(
    score: str,
    value: float,
    floor: float | None = None,
    better: str = "",
    n: int | None = None,
    floor_n: int | None = None,
    error: float | None = None,
) -> str:
    """A sentence about a score; empty for one that nothing is known of.

    Args:
        score: its name, as `fd` or `recall`.
        floor: the same score of real samples against real ones, where it is known.
        better: "lower" or "higher".
        n: samples of the smaller side, where it is known.
        floor_n: samples of each side behind the floor, where they are known.
        error: standard error of the score, where it is known.
    """
    if n is not None and n < ENOUGH:
        return f"{n} samples are too few for a verdict; take {ENOUGH} or more"
    if not math.isfinite(value):
        return "not a number: the samples or their features are too large"
    if score in BIASED and floor is not None and n is not None and floor_n is not None and floor_n < n:
        return f"0 would be no difference; real samples get {floor:.3g}, {floor_n} of each, and fewer samples get more"
    if score in DISTANCES:
        return _distance(value, floor, error or 0.0)
    words = SHARES.get(score)
    if words is None:
        return _beside(value, floor, better)
    if value <= WORST.get(score, 0.0) and words.at_worst:
        return words.at_worst
    return f"{words.says(value)}{_of_real(words, value, floor)}"


def _distance(value: float, floor: float | None, error: float) -> str:
    if floor is None:
        return "0 would be no difference from the data; compare it with scores of the same extractor and n alone"
    if error and abs(value - floor) <= CERTAIN * error:
        return f"no further from the data, as far as {error:.2g} of scatter can tell, than real samples ({floor:.3g})"
    least = max(floor, 0.0)
    if 0 < value < least / FAR:
        return f"nearer to the reference than the training data, which hold something else ({floor:.3g})"
    surely_further = bool(error) and value - floor > CERTAIN * error
    if value <= NEAR * least and not surely_further:
        return f"as near to the data as real samples are to each other ({floor:.3g})"
    if not least:
        return f"further from the data than real samples, which get {floor:.3g}"
    times = value / least
    much = "far from the data: " if times > FAR else ""
    return f"{much}{times:.3g} times what real samples get ({floor:.3g})"


def _of_real(words: Words, value: float, floor: float | None) -> str:
    if floor is None:
        return ""
    if value >= SHORT * floor:
        return f"; real samples get {floor:.3g}, hardly more" if value < floor else f"; real samples get {floor:.3g}"
    return f"; far less than real samples, which get {floor:.3g}"


def _beside(value: float, floor: float | None, better: str) -> str:
    """Of a score that has no words of its own."""
    if floor is None:
        return f"{better} is better" if better else ""
    worse = value > floor if better == "lower" else value < floor
    return f"{'worse than' if worse else 'as good as'} real samples, which get {floor:.3g}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %"


BIASED = ("fd", "class_kl")
"""Distances that are the larger, the fewer the samples."""
DISTANCES = ("fd", "kd", "kds", "class_kl")
WORST = {"is": 1.0, "vendi": 1.0}
"""Worst values that are not 0; what rounding leaves of them is as bad."""
SHARES = {
    "precision": Words(
        "no sample lies among the data: none looks like them",
        lambda v: f"{_percent(v)} of the samples lie among the data",
    ),
    "recall": Words("the samples cover none of the data", lambda v: f"the samples cover {_percent(v)} of the data"),
    "density": Words(
        "no sample lies where data are", lambda v: f"samples lie where data are {v:.2g} times as dense as on average"
    ),
    "coverage": Words(
        "no image of the data has a sample near it", lambda v: f"{_percent(v)} of the data have a sample near them"
    ),
    "authenticity": Words(
        "all samples are copies of the data", lambda v: f"{_percent(v / 100)} of the samples are no copies of data"
    ),
    "is": Words(
        "the classifier finds the same in all samples",
        lambda v: f"as if samples were of {v:.3g} classes that the classifier is sure of",
    ),
    "vendi": Words("all samples are alike", lambda v: f"as varied as {v:.3g} samples that have nothing in common"),
    "modes": Words("no mode of the data is found", lambda v: f"{v:.0f} modes of the data are found"),
    "good_samples": Words(
        "no sample lies near a mode of the data", lambda v: f"{_percent(v)} of the samples lie near a mode of the data"
    ),
    "rarest_mode": Words(
        "at least one mode of the data gets no sample", lambda v: f"the rarest mode gets {v:.2g} times its share"
    ),
    "classes_found": Words("no class is found", lambda v: f"{v:.0f} classes are found among the samples"),
    "confidence": Words(
        "the classifier is sure of nothing", lambda v: f"the classifier gives {_percent(v)} to the class it finds"
    ),
    "accuracy": Words("none is told right", lambda v: f"{_percent(v)} are told right"),
}

"""Checks of redrawn images in words: they are read before anything found in such images is believed."""

from __future__ import annotations

from dataclasses import dataclass

from genkit.explain.explanation import Checks
from genkit.explain.words import percent

FAINT = 0.5
"""Distance of a reconstruction, of that of the mean image, above which it is doubted."""
DISAGREES = 0.9
"""Agreement below which it is."""
DECIDES = 0.6
"""Of decisions: 0.68 to 0.93 of planted reasons go with what is redrawn, 0.5 of the grain of solar cells."""


@dataclass(frozen=True)
class Reading:
    """One check.

    Attributes:
        question: that it answers with yes or no.
        well: whether the answer is yes.
        said: the numbers, where it is.
        reason: not to trust the explanation, where it is not.
    """

    question: str
    well: bool
    said: str
    reason: str


def readings(checks: Checks) -> list[Reading]:
    """The checks of reconstructions, of agreement, and of what is lost where that is known."""
    off, of_mean = percent(checks.l1 / 2), percent(checks.l1_of_mean_image / 2)
    worse = "as much" if off == of_mean else f"by {of_mean}"
    pixels = f"a pixel is off by {off} of the way from black to white on average"
    found = [
        Reading(
            "Are the images redrawn faithfully?",
            checks.l1 <= FAINT * checks.l1_of_mean_image,
            f"{pixels[:1].upper()}{pixels[1:]}; it would be off {worse} if the average image were shown every time.",
            f"images are not redrawn faithfully: {pixels}, and {worse} if the average image were shown every "
            "time; what the generator does not draw cannot be found",
        ),
        Reading(
            "Does the classifier see the same in redrawn images?",
            checks.agreement >= DISAGREES,
            f"Its decision stays the same for {percent(checks.agreement)} of the images when they are redrawn.",
            f"the classifier sees redrawn images differently: it decides otherwise of {percent(1 - checks.agreement)} "
            "of them than of the originals, and what sways it on the ones may not sway it on the others",
        ),
    ]
    if (decides := checks.redrawn_decides) is not None:
        mixed = "where one image is redrawn, and what redrawing loses of one of another class is added"
        found.append(
            Reading(
                "Does it decide by what is redrawn?",
                decides >= DECIDES,
                f"W{mixed[1:]}, {percent(decides)} of the decisions go with the redrawn one.",
                f"much of what decides is not redrawn, so that no attribute can show it: {mixed}, "
                f"{percent(1 - decides)} of the decisions go with what is lost",
            )
        )
    return found

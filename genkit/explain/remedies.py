"""Ways to mend an explanation that is not to be trusted, as far as its numbers tell them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genkit.explain.checks import doubts, redrawing, unseen
from genkit.explain.explanation import Explanation
from genkit.explain.readings import readings

MANY = 250
"""Images searched from which on more of them hardly help: the range of each coordinate is known."""


@dataclass(frozen=True)
class Remedy:
    """One thing to do next: what, by which command, and what is to be known of it."""

    what: str
    command: str
    known: str


def remedies(
    explanation: Explanation, searched: int, classifier: str = "CLASSIFIER", run: str = "RUN", goes_on: str = ""
) -> list[Remedy]:
    """Training for reasons that the generator may be the cause of, images where too few were searched.

    Of other reasons, such as images that the generator was trained on, each says itself what to do.

    Args:
        searched: the number of images searched.
        classifier, run: how a command names the classifier, and the run of the StyleEx.
        goes_on: options with which its training goes on; empty where it cannot.
    """
    names = dict(enumerate(explanation.classes))
    shares = explanation.sufficiency
    flips = list(doubts(names, shares, explanation.random))
    shown = {y: torch.cat([one.images for one in found]) for y, found in explanation.examples.items() if found}
    put = {y: share for y, share in explanation.on_originals.items() if shares.get(y)}
    drawn = [not each.well for each in readings(explanation.checks)]
    found = list[Remedy]()
    if any(drawn) or flips or [*unseen(names, shown), *redrawing(names, shares, put)]:
        anew = "It begins a new one: give the other options of the training before, such as --size, as well."
        begins = f"It goes on with the generator of {run}." if goes_on else anew
        found.append(
            Remedy(
                "Train the generator longer, then search again:",
                f"genkit explain train {classifier} DATA {goes_on or '--out NEW'} --steps N",
                f"{begins} N is the number of iterations in all, more than it has had: twice as many is a beginning.",
            )
        )
    if flips and (searched < MANY or not all(shares.values())):
        found.append(
            Remedy(
                "Give more images of every class:",
                f"genkit explain {classifier} IMAGES --by {run} --out PAGE -n N",
                f"Here {searched:,} were searched. N are, and IMAGES needs twice as many: others show what was found.",
            )
        )
    return found

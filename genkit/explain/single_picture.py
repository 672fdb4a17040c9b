"""The explanation of one image as a picture and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genkit.explain.pictures import difference, on_white
from genkit.images.grid import grid
from genkit.images.pixels import to_channels

if TYPE_CHECKING:
    from genkit.explain.single import Change, ImageExplanation


def single_picture(found: ImageExplanation) -> Tensor:
    """(3, H, W) uint8: original, redrawn, then with one, two, ... attributes changed; below, where each differs."""
    before = to_channels(found.reconstruction, 3)
    after = [to_channels(change.image, 3) for change in found.subset]
    blank = torch.full_like(before, 255)
    below = [on_white(difference(before, image)) for image in after]
    images = [to_channels(found.original, 3), before, *after, blank, blank, *below]
    return grid(torch.stack(images), 2 + len(after))


def single_json(found: ImageExplanation) -> dict[str, Any]:
    """Everything but the pictures."""
    return {
        "classes": list(found.classes),
        "target": found.target,
        "flipped": found.flipped,
        "probabilities": found.probabilities.tolist(),
        "reconstructed": found.reconstructed.tolist(),
        "independent": [_told(change) for change in found.independent],
        "subset": [_told(change) for change in found.subset],
    }


def _told(change: Change) -> dict[str, Any]:
    attributes = [{k: getattr(a, k) for k in ("layer", "channel", "s", "direction")} for a in change.attributes]
    rest = {k: getattr(change, k) for k in ("effect", "probability", "decision")}
    return {"attributes": attributes, **rest}

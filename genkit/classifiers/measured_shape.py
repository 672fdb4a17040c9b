"""Hue, size, place and ground of a rendered shape, measured from its pixels: a judge that has learned nothing."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.classifiers.attribute_heads import standardised
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.pretrained import Pretrained
from genkit.images.hue import chroma_of, hue_of
from genkit.images.pixels import to_unit
from genkit.images.properties import border
from genkit.layers.arguments import ImageSize

INSIDE = 0.04
"""Of all pixels: fewer than the smallest shape covers whole, so that those farthest from the ground are inside."""
FAINTEST, SHADE = 0.05, 0.1
"""A shape is at least so far from the ground, of black to white; and such a part of it still is ground."""


class MeasuredShape(Pretrained, nn.Module):
    """Images of the data set `shapes`, (B, 3, size, size) in [-1, 1] -> hue, size, place of the shape, and its ground.

    hue is that of the mean of all pixels, each weighted by its chroma (largest channel less smallest), so that grey
    does not count. size is the radius of a disc of the same area, where a pixel is covered by how far it is from the
    ground, the median of the border, over how far the shape itself is, whatever its colours; shades of a tenth of that
    count as ground. x and y are the middle of what is covered, background is the grey of the ground. Which shape it is
    and how far it is turned are not read. It has no weights, and predicts as a trained `attribute_predictor` does.

    Args:
        size: side length in pixels.
        low, high: the range of sizes.
    """

    judged_by = "genkit.evaluation.judges:ByAttributes"

    def __init__(
        self,
        size: ImageSize = 32,
        low: Annotated[float, Field(ge=0)] = 0.3,
        high: Annotated[float, Field(gt=0)] = 0.7,
    ):
        super().__init__()
        self.sample_shape = (3, size, size)
        place = {"x": Values(-0.25, 0.25), "y": Values(-0.25, 0.25), "background": Values(0, 0.35)}
        self.conditions = ConditionSpace({"hue": Values(0, 1, cyclic=True), "size": Values(low, high), **place})
        self.register_buffer("place", torch.zeros(()), persistent=False)

    def predict(self, x: Tensor) -> dict[str, Tensor]:
        """Name -> (B,): hue in [0, 1), size, x and y in halves of the image's side, background in [0, 1]."""
        x = to_unit(x)
        chroma = chroma_of(x)
        colour = (x * chroma[:, None]).sum((2, 3))
        ground = border(x).median(2).values
        covered = _covered(x, ground)
        size = (covered.mean((1, 2)) * 4 / math.pi).sqrt()
        middle = _middle(covered)
        return {"hue": hue_of(colour), "size": size, **middle, "background": ground.mean(1)}

    def embed(self, x: Tensor, name: str) -> Tensor:
        """As of an attribute predictor."""
        column = self.conditions[name]
        assert isinstance(column, Values)
        return standardised(column, self.predict(x)[name])


def _covered(x: Tensor, ground: Tensor) -> Tensor:
    """(B, H, W) in [0, 1]: how much of each pixel of an image in [0, 1] its shape covers."""
    apart = (x - ground[:, :, None, None]).abs().amax(1)
    own = apart.flatten(1).quantile(1 - INSIDE, dim=1).clamp(min=FAINTEST)
    return ((apart / own[:, None, None] - SHADE) / (1 - 2 * SHADE)).clamp(0, 1)


def _middle(covered: Tensor) -> dict[str, Tensor]:
    """Mean place of what is covered, from -1 at the left or upper edge of the image to 1 at the other."""
    share = covered / covered.sum((1, 2), keepdim=True).clamp_min(1e-6)
    side = covered.shape[1]
    place = (torch.arange(side, device=covered.device) + 0.5) * 2 / side - 1
    return {"x": share.sum(1) @ place, "y": share.sum(2) @ place}

"""A generator whose right explanation is known in closed form: pixel i of a picture is coordinate i of its styles."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.styled import Styles

PIXELS, DRIVER = 5, 3


class Pixels(nn.Module):
    """Images (1, 1, 5) of which a linear classifier sees `weights`, (K, 5).

    Args:
        faithful: the share of w, or of each pixel (5,), that a reconstruction keeps.
        leak: by how much p_1 - p_0 brightens pixel `DRIVER`.
    """

    def __init__(self, weights: Tensor, faithful: float | Tensor = 1.0, leak: float = 0.0):
        super().__init__()
        self.register_buffer("weights", weights.float())
        self.faithful, self.leak = faithful, leak
        self.sample_shape, self.attribute_layers, self.seen = (1, 1, PIXELS), ("a", "b"), list[int]()

    def encode(self, x: Tensor) -> Tensor:
        return self.faithful * x.flatten(1)

    def joined(self, w: Tensor, p: Tensor) -> Tensor:
        return torch.cat([w, p], 1)

    def of_images(self, x: Tensor) -> Tensor:
        return self.joined(self.encode(x), self.logits(x).softmax(1))

    def styles_of(self, joined: Tensor) -> dict[str, Tensor]:
        tint = self.leak * (joined[:, PIXELS + 1] - joined[:, PIXELS])
        return {
            "a": joined[:, :3],
            "a.torgb": joined[:, :2],
            "b": joined[:, 3:PIXELS] + tint[:, None] * torch.tensor([1.0, 0]),
        }

    def pictured_styles(self, styles: Styles) -> Tensor:
        self.seen.append(len(styles["a"]))
        return torch.cat([styles["a"], styles["b"]], 1)[:, None, None].clamp(-1, 1)

    def logits(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weights.T


def binary(gain: float = 4.0, **arguments: float) -> Pixels:
    """Class 1 where pixel DRIVER is above zero."""
    weights = torch.zeros(2, PIXELS)
    weights[:, DRIVER] = torch.tensor([-gain / 2, gain / 2])
    return Pixels(weights, **arguments)


def images(n: int = 40, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, 1, PIXELS, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


class Judge:
    """Reads a number, one on a circle, and a class."""

    sample_shape = (1, 1, PIXELS)
    conditions = ConditionSpace(
        {"driver": Values(-1, 1), "first": Values(-1, 1), "angle": Values(-1, 1, cyclic=True), "side": Labels(2)}
    )

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        x = x.flatten(1)
        return {"driver": x[:, DRIVER], "first": x[:, 0], "angle": x[:, DRIVER], "side": (x[:, DRIVER] > 0).long()}

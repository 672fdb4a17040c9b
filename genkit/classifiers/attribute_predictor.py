"""A small network that reads the attributes of an image."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn

from genkit.classifiers.attribute_heads import embedded, outputs_of, predicted
from genkit.core.columns.column import Column
from genkit.core.condition import Conditioned, ConditionSpace
from genkit.core.errors import EvaluationError, RecipeError, shown, suggest
from genkit.core.pretrained import Pretrained
from genkit.layers.arguments import Channels, ImageSize, Norm, Width
from genkit.layers.norm import norm_layer

SHRINKS = 8
"""By how much the three convolutions make a side shorter."""


class AttributePredictor(Conditioned, Pretrained, nn.Module):
    """Images in [-1, 1], (B, channels, size, size) -> what each attribute is.

    Three 3x3 convolutions of stride 2 with a norm and ReLU, a layer of features, a linear head over all attributes. 32
    colour pixels at width 16: 90 k parameters.

    Args:
        attributes: name -> its column, `{type: labels, ...}` or `{type: values, ...}`.
        size: side length in pixels, a multiple of 8.
        channels: 1 for grey, 3 for colour.
        width: channels of the first map.
        norm: of the maps.

    Attributes:
        conditions: the columns of the attributes.

    Raises:
        RecipeError: no attributes, one that cannot be predicted, or a size that is no multiple of 8.
    """

    judged_by = "genkit.evaluation.judges:ByAttributes"

    def __init__(
        self,
        attributes: Mapping[str, Column],
        size: ImageSize = 32,
        channels: Channels = 3,
        width: Width = 16,
        norm: Norm = "batch",
    ):
        super().__init__()
        if not attributes:
            raise RecipeError("attributes: name at least one, such as hue: {type: values, low: 0, high: 1}")
        if size % SHRINKS:
            raise RecipeError(f"size: a multiple of {SHRINKS} is needed, got {size}")
        self.sample_shape, self.conditions = (channels, size, size), ConditionSpace(attributes)
        self.widths = {name: outputs_of(name, column) for name, column in attributes.items()}
        maps = [channels, width, 2 * width, 4 * width]
        layers = [layer for a, b in pairwise(maps) for layer in _shrinking(a, b, norm)]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.feature = nn.Linear(4 * width * (size // SHRINKS) ** 2, 4 * width)
        self.head = nn.Linear(4 * width, sum(self.widths.values()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """name -> (B, outputs): logits, a standardised number, or a point near the unit circle."""
        outputs = self.head(self.feature(self.trunk(x)).relu())
        return dict(zip(self.widths, outputs.split(list(self.widths.values()), 1), strict=True))

    def predict(self, x: Tensor) -> dict[str, Tensor]:
        """name -> (B,): numbers of classes, int64, or float32 numbers in the column's unit."""
        return {name: predicted(self.conditions[name], output) for name, output in self(x).items()}

    def embed(self, x: Tensor, name: str) -> Tensor:
        """(B, F) of one attribute, with a graph: probabilities of its classes, the number standardised by its range
        (deviation 1 where it is uniform), or a unit vector.

        Raises:
            EvaluationError: it predicts no such attribute.
        """
        if name not in self.conditions:
            raise EvaluationError(f"this predictor knows no {shown(name)}{suggest(name, self.conditions)}")
        return embedded(self.conditions[name], self(x)[name])


def _shrinking(inputs: int, outputs: int, norm: Norm) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=norm == "none")
    return conv, norm_layer(norm, outputs), nn.ReLU()

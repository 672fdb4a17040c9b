"""The contract of generators by which a classifier can be explained."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from genkit.core.styled import Halfway, Styles


@runtime_checkable
class Explainable(Protocol):
    """A generator that reconstructs images as a classifier sees them, from styles that can be changed one by one.

    A StyleEx is one. The noise of its pictures is always the same, and nothing that it does depends on the batch.

    Attributes:
        sample_shape: (C, H, W) of its images.
        attribute_layers: names of the layers whose styles are searched, in order. One that names `colour_layers` too
            has these searched after them: a classifier of colours is not explained without.
    """

    @property
    def sample_shape(self) -> tuple[int, ...]: ...
    @property
    def attribute_layers(self) -> tuple[str, ...]: ...

    def state_dict(self) -> Any: ...

    def encode(self, x: Tensor) -> Tensor:
        """w (B, style_dim) of images (B, C, H, W) in [-1, 1]."""
        ...

    def joined(self, w: Tensor, p: Tensor) -> Tensor:
        """w with probabilities p (B, K), as `styles_of` takes them."""
        ...

    def of_images(self, x: Tensor) -> Tensor:
        """`joined` of images: their w, and what the classifier says of them."""
        ...

    def styles_of(self, joined: Tensor) -> Styles:
        """StyleSpace: layer -> (B, channels)."""
        ...

    def pictured_styles(self, styles: Styles) -> Tensor:
        """Images (B, C, H, W) in [-1, 1]."""
        ...

    def logits(self, x: Tensor) -> Tensor:
        """The classifier's, (B, K)."""
        ...


@runtime_checkable
class Restartable(Protocol):
    """An Explainable that can picture other styles without the layers before the one that was changed."""

    def halfway(self, styles: Styles) -> Any:
        """Layer -> `Halfway`, the state before it."""
        ...

    def moved(self, state: Halfway, style: Tensor, channels: Tensor, values: Tensor) -> Halfway:
        """The state behind the layer of `state`, of one image of whose `style` (1, channels) number `channels[c]` is
        `values[c, v]`, in rows (0, 0), (0, 1), ..., (1, 0), ..."""
        ...

    def pictured_styles(self, styles: Styles, start: Halfway | None = None) -> Tensor:
        """As of every Explainable, from `start` on where it is given."""
        ...


def searched_layers(generator: Explainable, colours: bool = True) -> tuple[str, ...]:
    """Names of all layers whose styles are searched, in order; with or without those of colours."""
    return (*generator.attribute_layers, *(getattr(generator, "colour_layers", ()) if colours else ()))


def class_names(generator: Explainable, classes: int) -> tuple[str, ...]:
    """Names of the classifier's classes, their numbers where it gives none."""
    names = tuple(getattr(getattr(generator, "classifier", None), "class_names", ()))
    return names if len(names) == classes else tuple(map(str, range(classes)))

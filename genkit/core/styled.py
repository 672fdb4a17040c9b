"""The contract of networks that make images from styles, for editing, directions and StyleEx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.tree import Tree

Styles = Mapping[str, Tensor]
"""StyleSpace (Wu et al. 2021, arXiv:2011.12799): layer -> factors of its input channels, (B, channels)."""


class Halfway(NamedTuple):
    """A synthesis before one of its layers: it can go on from here with other styles, without the layers before.

    Attributes:
        layer: its name; "" at the end.
        x: its input, (B, C, H, W).
        image: of the layers before, (B or 1, channels, H', W'); None before the first torgb.
    """

    layer: str
    x: Tensor
    image: Tensor | None


@runtime_checkable
class Styled(Protocol):
    """A generator network with the latent spaces W, W+ and StyleSpace.

    Attributes:
        style_dim: width of w.
        style_channels: channels of each layer's style, by the layer's name, from the smallest map up.
        style_layers: number of the vector of W+ that each layer reads, by the same names.

    A buffer `w_avg`, (style_dim,), is the mean of w.
    """

    style_dim: int

    @property
    def style_channels(self) -> Mapping[str, int]: ...
    @property
    def style_layers(self) -> Mapping[str, int]: ...

    def to_w(self, latents: Tree, condition: Condition | None = None) -> Tensor:
        """W+ of latents as the generator draws them: (B, layers, style_dim)."""
        ...

    def styles(self, w: Tensor) -> Styles:
        """StyleSpace of W (B, style_dim) or W+ (B, layers, style_dim)."""
        ...

    def synthesise(
        self, w: Tensor | Styles, noise: Sequence[Tensor] | None = None, start: Halfway | None = None
    ) -> Tensor:
        """Images (B, C, H, W), with a graph, of W, W+ or StyleSpace; `noise` as in latents, None the same always.

        From `start` on, where it is given: styles of layers before it are not read.
        """
        ...

    def halfway(self, w: Tensor | Styles, noise: Sequence[Tensor] | None = None) -> Mapping[str, Halfway]:
        """The states of a synthesis before each of its layers, by their names."""
        ...

    def moved(self, state: Halfway, style: Tensor, channels: Tensor, values: Tensor) -> Halfway:
        """The state behind the convolution of `state`, of one image whose `style` (1, channels) is moved.

        Its number `channels[c]` is `values[c, v]` in row (c, v) of what is returned, all of the first channel before
        those of the second; the noise is that of none given.
        """
        ...


class MovedStyles(NamedTuple):
    """The styles of images, as every edit so far has moved them.

    Attributes:
        w: W+ (n, layers, style_dim).
        added: layer -> what is added to its style of w, (n, channels).
    """

    w: Tensor
    added: Mapping[str, Tensor]


@runtime_checkable
class MovesStyles(Protocol):
    """A generator whose images have other styles than its network gives its latents: it was edited or truncated.

    Its `generator` is what it was before.
    """

    def moved_styles(self, latents: Tree, condition: Condition) -> MovedStyles:
        """The styles of latents as they are moved, of a generator with styles."""
        ...


def named_slices(network: object) -> Mapping[str, slice]:
    """Parts of z, and of w, where a network has a mapping of its own for each: `slices`, by name; empty for others."""
    found: Mapping[str, slice] = getattr(network, "slices", {})
    return found


def joined(network: Any, w: Tensor, condition: Condition | None = None) -> Tensor:
    """W or W+ as `styles` takes it: with what `network.joined` appends of the condition, where a network has it."""
    join = getattr(network, "joined", None)
    found: Tensor = join(w, condition) if join else w
    return found


def joined_w(generator: Any, latents: Tree, condition: Condition | None = None) -> Tensor:
    """W+ of latents, `joined`: by the generator where it finds w in a way of its own, `to_w`, else by its network."""
    own, network = getattr(generator, "to_w", None), generator.network
    found: Tensor = own(latents, condition) if own else joined(network, network.to_w(latents, condition), condition)
    return found


def noise_of(latents: Tree) -> Any:
    """The noise among latents, None where there is none."""
    return latents.get("noise") if isinstance(latents, Mapping) else None

"""The contract of networks that make images from styles, for editing, directions and StyleEx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.tree import Tree

Styles = Mapping[str, Tensor]
"""StyleSpace (Wu et al. 2021, arXiv:2011.12799): layer -> factors of its input channels, (B, channels)."""


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

    def synthesise(self, w: Tensor | Styles, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Images (B, C, H, W), with a graph, of W, W+ or StyleSpace; `noise` as in latents, None the same always."""
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


def noise_of(latents: Tree) -> Any:
    """The noise among latents, None where there is none."""
    return latents.get("noise") if isinstance(latents, Mapping) else None

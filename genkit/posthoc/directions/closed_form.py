"""Directions of any generator without training: SeFa, GANSpace, random ones and coordinates."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError, kind_of
from genkit.core.evaluating import evaluating
from genkit.core.precision import wide
from genkit.core.styled import joined
from genkit.posthoc.directions.deformators import Deformator, FixedDirections, LatentCoordinates, check_orthogonal
from genkit.posthoc.directions.ganspace import ganspace, ganspace_z
from genkit.posthoc.directions.sefa import Found, sefa
from genkit.posthoc.directions.spaces import (
    LatentSpace,
    LayerSpace,
    Space,
    WSpace,
    drawn,
    drawn_vectors,
    is_styled,
    styles_of,
)

ClosedForm = Literal["sefa", "ganspace", "random", "coordinate"]
SAMPLED = 10_000
"""Latents of a PCA; the authors take 300,000 or more of a larger one."""


def closed_form(method: ClosedForm, space: Space, directions: int, seed: int = 0, crew: Crew = ALONE) -> Deformator:
    """Directions by a method.

    Args:
        seed: of random directions and of the latents that are looked at.
        crew: processes that share the latents and find the same; each of them calls this.

    Raises:
        GenkitError: more directions than the latent has, but for random ones, or no affine map to look at.
    """
    if method == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FixedDirections(directions, space.dim)
    check_orthogonal(directions, space.dim)
    if method == "coordinate":
        return LatentCoordinates(directions, space.dim)
    found = sefa_of(space, directions, crew) if method == "sefa" else ganspace_of(space, directions, seed, crew)
    return FixedDirections.of(found.rows.float())


def sefa_of(space: Space, directions: int, crew: Crew = ALONE) -> Found:
    """Of z by the first layer, as the authors have it for PGGAN; of W by the affine maps to styles of its layers."""
    if isinstance(space, LayerSpace):
        raise GenkitError(f"SeFa is of the affine maps of a latent, in z or w; the style {space.name} has none")
    weight = style_weights(space) if isinstance(space, WSpace) else FirstLayer(space).weight
    return crew.once(lambda: _sent(sefa(weight, directions)))


def ganspace_of(space: Space, directions: int, seed: int = 0, crew: Crew = ALONE) -> Found:
    """Of W, or of a style, by the principal components of itself; of z by those of the first layer's output."""
    if not isinstance(space, LatentSpace):
        vectors = drawn_vectors(space, SAMPLED, seed, crew)
        return crew.once(lambda: _sent(ganspace(vectors, directions)))
    weight = wide(FirstLayer(space).weight)
    z = drawn_vectors(space, SAMPLED, seed, crew)

    def found() -> Found:
        turned = torch.linalg.qr(weight).R  # an orthonormal Q before it changes no component's coordinates
        return ganspace_z(z, wide(z) @ turned.T, directions)

    return crew.once(lambda: _sent(found()))


def _sent(found: Found) -> Found:
    return Found(*(part.cpu() for part in found))


@torch.no_grad()
def style_weights(space: WSpace) -> Tensor:
    """The weights of the affine maps from w to the styles of its layers, one below the other (outputs, dim).

    A layer for each vector of W+, as in the authors' code: of a colour layer and the convolution that reads its vector
    after it, the convolution. By the contract of `Styled` alone: styles are affine in w, so that differences of them
    are these columns.
    """
    generator, network = space.generator, space.network
    layers = range(max(network.style_layers.values()) + 1)[space.layers]
    with evaluating(generator):
        latents, condition = drawn(space, 1, torch.Generator().manual_seed(0))
        w = styles_of(generator, latents, condition).w
        basis = torch.cat([torch.zeros_like(w[:1, 0]), torch.eye(space.dim, device=w.device)])
        condition = tree.map(lambda rows: rows.expand(len(basis), *rows.shape[1:]), condition)
        styles = network.styles(joined(network, basis, condition))
    last = {at: name for name, at in network.style_layers.items()}
    return torch.cat([(styles[last[at]][1:] - styles[last[at]][:1]).T for at in layers])


class FirstLayer:
    """The first layer that a generator gives its latent to; it must be affine, whatever stands beside z.

    Raises:
        GenkitError: there is none.
    """

    def __init__(self, space: Space):
        assert isinstance(space, LatentSpace)
        self.space, self.calls = space, list[tuple[nn.Module, Tensor]]()
        generator = space.generator
        latents, condition = drawn(space, 2, torch.Generator().manual_seed(0))
        self.z = space.vectors(latents, condition)
        with torch.no_grad(), evaluating(generator), ExitStack() as hooks:
            for module in generator.modules():
                if not any(module.children()):
                    hooks.callback(module.register_forward_pre_hook(self._watch).remove)
            generator(latents, condition)
            found = self._weight() if self.calls else None
        if found is None:
            raise GenkitError(
                f"{kind_of(generator)} gives its latent {space.name} to no affine layer first, which SeFa and "
                f"GANSpace look at{'; they are in its space w' if is_styled(generator) else ''}"
            )
        self.weight = found

    def _watch(self, layer: nn.Module, given: tuple[Any, ...]) -> None:
        x = given[0] if given and isinstance(given[0], Tensor) else None
        if self.calls or x is None or x.dim() < 2 or len(x) != len(self.z):
            return
        flat = x.flatten(1)
        if flat.shape[1] < self.space.dim:
            return
        shift = flat[:, : self.space.dim].to(self.z.dtype) - self.z  # that of an edit is the same for all
        if torch.allclose(shift, shift[:1].expand_as(shift), rtol=0, atol=1e-5):
            self.calls.append((layer, x))

    def _weight(self) -> Tensor | None:
        """A (outputs, dim) of y = A z + ...; None where the layer is not affine in z."""
        layer, x = self.calls[0]
        dim = self.space.dim
        moves = x.new_zeros(dim + 3, x[0].numel())
        moves[1 : dim + 1, :dim] = torch.eye(dim)
        moves[dim + 1, :dim] = torch.randn(dim, generator=torch.Generator().manual_seed(1))
        moves[dim + 2] = -3 * moves[dim + 1]
        y = layer(moves.view(-1, *x.shape[1:])).flatten(1)
        y = y - y[:1]
        once = y[dim + 1]
        if not torch.allclose(y[dim + 2], -3 * once, rtol=1e-3, atol=1e-4 * once.abs().max().item() + 1e-12):
            return None
        return y[1 : dim + 1].T

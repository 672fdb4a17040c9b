"""Spaces that a direction may live in: a latent z, W, or the style of one layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genkit.core import tree
from genkit.core.condition import Condition
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError, kind_of, shown, suggest
from genkit.core.evaluating import evaluating
from genkit.core.generator import LatentGenerator
from genkit.core.precision import wide
from genkit.core.randomness import Noise, stable_seed
from genkit.core.styled import MovedStyles, MovesStyles, Styled, Styles, joined, noise_of
from genkit.core.tree import Tree
from genkit.posthoc.directions.deformators import laid_out

MEASURED, BATCH, NUMBERS = 4096, 256, 2**24
"""Latents by which the unit of a space is measured; images or latents at a time, and numbers in them at most."""


class Space(ABC):
    """Vectors (n, dim) of a generator's latents, and the images of shifted ones.

    Attributes:
        generator: that images are of.
        name: as `space_of` takes it.
        dim: width of a vector.
    """

    def __init__(self, generator: LatentGenerator, name: str, dim: int):
        self.generator, self.name, self.dim = generator, name, dim

    @abstractmethod
    def vectors(self, latents: Tree, condition: Condition) -> Tensor:
        """The vector (n, dim) of each latent."""

    @abstractmethod
    def images(self, latents: Tree, condition: Condition, shift: Tensor) -> Tensor:
        """Images (n, C, H, W) of latents whose vectors are shifted by (n, dim), with a graph; all else is the same."""

    @abstractmethod
    def moved_styles(self, latents: Tree, condition: Condition, shift: Tensor) -> MovedStyles:
        """The styles of the same images, of a generator with styles."""


class LatentSpace(Space):
    """One tensor of the latents that a generator draws, such as z.

    Args:
        path: keys from the latents to it; () where they are one tensor.
    """

    def __init__(self, generator: LatentGenerator, name: str, path: tuple[str | int, ...]):
        self.path, self.shape = path, _at(_probe(generator), path).shape[1:]
        super().__init__(generator, name, self.shape.numel())

    def vectors(self, latents: Tree, condition: Condition) -> Tensor:
        return _at(latents, self.path).flatten(1)

    def images(self, latents: Tree, condition: Condition, shift: Tensor) -> Tensor:
        made: Tensor = self.generator(self.moved(latents, shift), condition)
        return made

    def moved_styles(self, latents: Tree, condition: Condition, shift: Tensor) -> MovedStyles:
        return styles_of(self.generator, self.moved(latents, shift), condition)

    def moved(self, latents: Tree, shift: Tensor) -> Tree:
        """Latents with the shift (n, dim) added at `path`."""
        return _with(latents, self.path, _at(latents, self.path) + laid_out(shift, self.shape))


class WSpace(Space):
    """W of a network with styles: a shift is added to the vectors of W+ in `layers`, all if not said."""

    def __init__(self, generator: LatentGenerator, name: str, layers: slice = slice(None)):
        self.network: Any = styled_network(generator)
        self.layers = layers
        super().__init__(generator, name, self.network.style_dim)

    def vectors(self, latents: Tree, condition: Condition) -> Tensor:
        return styles_of(self.generator, latents, condition).w[:, self.layers][:, 0]

    def images(self, latents: Tree, condition: Condition, shift: Tensor) -> Tensor:
        return _synthesised(self.network, self.moved_styles(latents, condition, shift), latents, condition)

    def moved_styles(self, latents: Tree, condition: Condition, shift: Tensor) -> MovedStyles:
        before = styles_of(self.generator, latents, condition)
        w = before.w.clone()
        w[:, self.layers] += shift[:, None]
        return before._replace(w=w)


class LayerSpace(Space):
    """StyleSpace of one layer of a network with styles."""

    def __init__(self, generator: LatentGenerator, layer: str):
        self.network: Any = styled_network(generator)
        super().__init__(generator, layer, self.network.style_channels[layer])

    def vectors(self, latents: Tree, condition: Condition) -> Tensor:
        found: Tensor = _styles(self.network, styles_of(self.generator, latents, condition), condition)[self.name]
        return found

    def images(self, latents: Tree, condition: Condition, shift: Tensor) -> Tensor:
        return _synthesised(self.network, self.moved_styles(latents, condition, shift), latents, condition)

    def moved_styles(self, latents: Tree, condition: Condition, shift: Tensor) -> MovedStyles:
        before = styles_of(self.generator, latents, condition)
        return before._replace(added={**before.added, self.name: before.added.get(self.name, 0) + shift})


def space_of(generator: object, name: str = "z") -> Space:
    """The space that is called `name`: "z", or "z.0" and the like where latents are several tensors; "w", or "w.2-5" of
    some of its layers; or a layer with a style, such as "b8.conv1".

    Raises:
        GenkitError: a generator without latents, or without this space.
    """
    if not isinstance(generator, LatentGenerator):
        raise GenkitError(
            f"directions are of a latent, and {kind_of(generator)} has none; give a GAN, a VAE, or of a "
            "diffusion model the weights of ddim_latents around it"
        )
    styled = _styled(generator)
    kind, _, part = name.partition(".")
    if kind == "z":
        return LatentSpace(generator, name, _path(generator, part))
    if styled is not None and kind == "w":
        return WSpace(generator, name, _layers(styled, part))
    if styled is not None and name in styled.style_channels:
        return LayerSpace(generator, name)
    known = ["z", *(["w", *styled.style_channels] if styled is not None else [])]
    why = "" if styled is not None or kind != "w" else f": {kind_of(generator)} has no styles"
    raise GenkitError(f"no space {shown(name)}{why or suggest(name, known)}")


def _path(generator: LatentGenerator, part: str) -> tuple[str | int, ...]:
    """The keys to the tensor that is meant."""
    drawn = _probe(generator)
    paths = _paths(drawn)
    named = {".".join(map(str, path)): path for path in paths}
    if part in named:
        return named[part]
    if not part and (len(paths) == 1 or "z" in named):
        return named["z"] if "z" in named else paths[0]
    if paths == [()]:
        raise GenkitError(f"no space {shown(f'z.{part}')}: its latent is one tensor, z")
    choices = ", ".join(f"z.{name} {list(_at(drawn, path).shape[1:])}" for name, path in named.items())
    raise GenkitError(f"its latents are {len(paths)} tensors, so name one of them as the space: {choices}")


def _paths(latents: Tree) -> list[tuple[str | int, ...]]:
    """Keys to every tensor, in order."""
    if isinstance(latents, Tensor):
        return [()]
    parts = latents.items() if isinstance(latents, Mapping) else enumerate(latents or ())
    return [(key, *rest) for key, part in parts for rest in _paths(part)]


def _probe(generator: LatentGenerator) -> Tree:
    """One latent, of which the shape alone is looked at."""
    with evaluating(generator), torch.device("cpu"):
        return generator.latents(Noise(1, torch.Generator().manual_seed(0)))


def _at(latents: Any, path: tuple[str | int, ...]) -> Tensor:
    for key in path:
        latents = latents[key]
    found: Tensor = latents
    return found


def _with(latents: Any, path: tuple[str | int, ...], value: Tensor) -> Any:
    """`latents` with another tensor at a path."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(latents, Mapping):
        return {**latents, key: _with(latents[key], rest, value)}
    return tuple(_with(part, rest, value) if k == key else part for k, part in enumerate(latents))


def _layers(network: Styled, text: str) -> slice:
    """FIRST-LAST as a slice of the vectors of W+."""
    if not text:
        return slice(None)
    first, _, last = text.partition("-")
    most = max(network.style_layers.values())
    if not first.isdecimal() or not (last or first).isdecimal() or not int(first) <= int(last or first) <= most:
        raise GenkitError(f"no layers {shown(text)} of w: give FIRST-LAST from 0 to {most}, such as w.0-{most // 2}")
    return slice(int(first), int(last or first) + 1)


def _styled(generator: LatentGenerator) -> Styled | None:
    found = getattr(generator, "network", None)
    return found if isinstance(found, Styled) else None


def is_styled(generator: LatentGenerator) -> bool:
    """Whether it has the space w."""
    return _styled(generator) is not None


def styled_network(generator: LatentGenerator) -> Styled:
    """Its network with styles.

    Raises:
        GenkitError: it has none.
    """
    found = _styled(generator)
    if found is None:
        raise GenkitError(f"{kind_of(generator)} has no styles; directions of it are in z")
    return found


def styles_of(generator: LatentGenerator, latents: Tree, condition: Condition) -> MovedStyles:
    """The styles of latents: as the generator itself has been moved, where it is one that was."""
    if isinstance(generator, MovesStyles):
        return generator.moved_styles(latents, condition)
    network: Any = styled_network(generator)
    return MovedStyles(network.to_w(latents, condition), {})


def _styles(network: Any, at: MovedStyles, condition: Condition) -> Styles:
    styles = network.styles(joined(network, at.w, condition))
    return {**styles, **{layer: styles[layer] + shift for layer, shift in at.added.items()}}


def _synthesised(network: Any, at: MovedStyles, latents: Tree, condition: Condition) -> Tensor:
    """Images of styles, from W+ itself where no layer is moved by itself."""
    style = _styles(network, at, condition) if at.added else joined(network, at.w, condition)
    made: Tensor = network.synthesise(style, noise_of(latents))
    return made.float()


class Measures(NamedTuple):
    """Scale and place of the vectors of a space.

    Attributes:
        unit: root mean square of the standard deviations of their numbers.
        mean: (dim,).
    """

    unit: Tensor
    mean: Tensor


@torch.no_grad()
def drawn_vectors(space: Space, n: int, seed: int, crew: Crew = ALONE) -> Tensor:
    """n vectors (n, dim) of the space, a function of the seed; the processes of `crew` share them."""
    rng = torch.Generator().manual_seed(stable_seed(seed, "vectors"))
    numbers = sum(part.numel() for part in tree.leaves(_probe(space.generator)))  # noise maps of large images are many
    most = max(1, min(BATCH, NUMBERS // numbers))
    parts = dict[int, Tensor]()
    for k in range(0, n, most):
        latents, condition = drawn(space, min(most, n - k), rng)
        if crew.has(k // most):
            with evaluating(space.generator):
                found = space.vectors(latents, condition).float()
            parts[k] = found.cpu() if crew.count > 1 else found
    return torch.cat(crew.gathered(parts)).to(space.generator.device)


def drawn(space: Space, n: int, rng: torch.Generator) -> tuple[Tree, Condition]:
    """n latents and conditions, on the device of the generator.

    Raises:
        ConditionError: the generator takes a condition that cannot be drawn.
    """
    generator, noise = space.generator, Noise(n, rng)
    with evaluating(generator):
        condition = generator.conditions.resolve(None, n, noise)
        latents = generator.latents(noise)
    return tree.map(lambda part: part.to(generator.device), (latents, condition))


def measured(space: Space, n: int = MEASURED, seed: int = 0, crew: Crew = ALONE) -> Measures:
    """Unit and mean of a space, by n vectors that are a function of the seed; the processes of `crew` share them."""
    vectors = drawn_vectors(space, n, seed, crew)
    return Measures(wide(vectors).var(0).mean().sqrt(), vectors.mean(0))

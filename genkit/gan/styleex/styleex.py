"""The generator of StylEx: G(E(x), p(x)) is x again, as a classifier sees it. Lang et al. 2021, arXiv:2104.13369."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.columns.probabilities import Probabilities
from genkit.core.condition import Condition, ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import RecipeError
from genkit.core.evaluating import evaluating
from genkit.core.frozen import freeze, is_frozen
from genkit.core.generator import Items
from genkit.core.precision import full, full_precision
from genkit.core.randomness import Randomness
from genkit.core.styled import Halfway, Styles, noise_of
from genkit.core.tree import Tree
from genkit.gan.gan import GAN
from genkit.gan.stylegan2.encoder import StyleGAN2Encoder
from genkit.gan.stylegan2.generator import StyleGAN2Generator

SEEN = "seen"
"""Name among latents of the images that the encoder is shown, in place of z."""
COLUMNS, PAIRS = 8, 4
"""Of its picture: columns, and pairs of rows."""


class StyleEx(GAN):
    """A StyleGAN2 whose w an encoder finds for an image, and whose styles know what a classifier says of it.

    Its latents are those of the network, or {"seen": images, "noise": ...}: then w = E(images). The condition
    `probabilities` is p = softmax(classifier(x)) of a real image; with a network that appends no classes there is none,
    and the generator knows nothing of the classifier (an ablation).

    Args:
        network: appends as many classes as the classifier has, or none.
        encoder: E; images -> w.
        classifier: images in [-1, 1], (B, C, H, W) -> logits (B, classes); says `sample_shape` and `classes`, and may
            have `class_names`. It is frozen here.
        temperature: what its logits are divided by wherever they are used here (Guo et al. 2017, arXiv:1706.04599).
            Above 1 for a classifier that is certain of most images: probabilities of 0 and 1 tell the generator no more
            than the class, and no single attribute then moves the decision far. It changes no decision; 1 in the paper.

    Attributes:
        finished: whether the classifier came frozen, as weights do.
        attribute_layers, colour_layers: names of the layers whose styles are looked at for attributes: the
            convolutions, and those that make colours of their maps, which the authors leave out.

    Raises:
        RecipeError: parts that do not fit together.
    """

    network: StyleGAN2Generator

    def __init__(
        self,
        network: StyleGAN2Generator,
        encoder: StyleGAN2Encoder,
        classifier: nn.Module,
        temperature: Annotated[float, Field(gt=0, le=1e6)] = 1.0,
    ):
        _check_parts(network, encoder, classifier)
        super().__init__(network)
        self.temperature = temperature
        self.encoder, self.finished = encoder, is_frozen(classifier)
        self.classifier: Any = freeze(classifier)
        self.items: Items | None = None
        names = tuple(getattr(classifier, "class_names", ()))
        self.made = ("probabilities",) if network.appended else ()
        self.conditions = ConditionSpace({name: Probabilities(network.appended, names) for name in self.made})

    @property
    def attribute_layers(self) -> tuple[str, ...]:
        return tuple(name for name in self.network.style_channels if not name.endswith("torgb"))

    @property
    def colour_layers(self) -> tuple[str, ...]:
        return tuple(name for name in self.network.style_channels if name.endswith("torgb"))

    def logits(self, x: Tensor) -> Tensor:
        """The classifier's over the temperature, (B, classes) float32; with a graph to the images.

        Args:
            x: (B, C, H, W), cut to [-1, 1] first.
        """
        with full_precision(x):
            found: Tensor = self.classifier(full(x).clamp(-1, 1))
        return full(found) / self.temperature

    @torch.no_grad()
    def condition_of(self, x: Tensor) -> Condition:
        if not self.made:
            return {}
        return {"probabilities": self.logits(x.to(self.device)).softmax(1)}

    def encode(self, x: Tensor) -> Tensor:
        """E(x), (B, style_dim) float32."""
        w: Tensor = self.encoder(x)
        return full(w)

    def joined(self, w: Tensor, p: Tensor) -> Tensor:
        """w (B, style_dim) or W+, and p (B, classes), as `styles_of` takes them; w alone where none are appended."""
        return self.network.joined(w, {"probabilities": p})

    def of_images(self, x: Tensor) -> Tensor:
        """[E(x), p(x)], joined."""
        return self.network.joined(self.encode(x), self.condition_of(x))

    def styles_of(self, joined: Tensor) -> Styles:
        """StyleSpace of what `joined` gives: layer -> (B, channels)."""
        return self.network.styles(joined)

    def pictured_styles(self, styles: Styles, start: Halfway | None = None) -> Tensor:
        """Images (B, C, H, W) in [-1, 1] of styles, with a graph; by the layers from `start` on alone if it is given.

        The noise is always the same.
        """
        return full(self.network.synthesise(styles, start=start)).clamp(-1, 1)

    def halfway(self, styles: Styles) -> Mapping[str, Halfway]:
        """See genkit.core.styled."""
        return self.network.halfway(styles)

    def moved(self, state: Halfway, style: Tensor, channels: Tensor, values: Tensor) -> Halfway:
        """See genkit.explain.explainable."""
        return self.network.moved(state, style, channels, values)

    def reconstructed(self, x: Tensor) -> Tensor:
        """G(E(x), p(x)) in [-1, 1], with the noise of `pictured_styles`."""
        return self.pictured_styles(self.styles_of(self.of_images(x)))

    def encoded_latents(self, x: Tensor, randomness: Randomness) -> dict[str, Any]:
        """Latents whose w is E(x)."""
        return {SEEN: x, "noise": self.network.noise(randomness)}

    def to_w(self, z: Tree, condition: Condition | None = None) -> Tensor:
        """W+ of latents, joined: see `genkit.core.styled.joined_w`."""
        x, network = seen_among(z), self.network
        w = network.to_w(z, condition) if x is None else network.spread(self.encode(x))
        return network.joined(w, condition)

    def forward(self, z: Tree, condition: Condition | None = None) -> Tensor:
        return full(self.network.synthesise(self.to_w(z, condition), noise_of(z)))

    def over(self, items: Items) -> Self:
        """As of every generator; its picture is then of reconstructions."""
        found = copy.copy(super().over(items))
        found.items = items
        return found

    shows = "Rows of real images, below each row what the generator makes of it"

    def pictured(self, rng: torch.Generator, crew: Crew = ALONE) -> tuple[Tensor, int]:
        """Rows of real images, each with its reconstructions below; samples where no real ones are at hand."""
        if self.items is None:
            return super().pictured(rng, crew)
        index = torch.randint(len(self.items), (PAIRS * COLUMNS,), generator=rng)
        x = self.items.rows(index).to(self.device)
        with torch.no_grad(), evaluating(self):
            mine = {k: torch.cat([row, self.reconstructed(row)]).cpu() for k, row in crew.my_batches(x, COLUMNS)}
            return torch.cat(crew.gathered(mine)), COLUMNS


def seen_among(latents: Tree) -> Tensor | None:
    """The images that the encoder is shown, None where w is drawn."""
    found: Any = latents.get(SEEN) if isinstance(latents, Mapping) else None
    return found


def _check_parts(network: StyleGAN2Generator, encoder: StyleGAN2Encoder, classifier: Any) -> None:
    shape, classes = list(network.sample_shape), getattr(classifier, "classes", None)
    if network.classes or network.slices:
        raise RecipeError("network: an encoder finds neither labels nor slices of w; leave out classes and split")
    if list(encoder.sample_shape) != shape or encoder.style_dim != network.style_dim:
        raise RecipeError(
            f"encoder: it makes {encoder.style_dim} numbers of {list(encoder.sample_shape)}, but the network takes "
            f"{network.style_dim} and makes {shape}; make them equal"
        )
    if not isinstance(classes, int) or classes < 2:
        raise RecipeError(
            f"classifier: {type(classifier).__name__} does not say that it has `classes`, 2 at least; give a classifier"
        )
    taken: Sequence[int] = getattr(classifier, "sample_shape", ())
    if list(taken) != shape:
        raise RecipeError(f"classifier: it takes images of {list(taken)}, but the network makes {shape}")
    if network.appended not in (0, classes):
        raise RecipeError(
            f"network.appended: the classifier has {classes} classes, got {network.appended}; set it to {classes}, or "
            "to 0 for a generator that knows nothing of them"
        )

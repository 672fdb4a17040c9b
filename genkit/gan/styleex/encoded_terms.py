"""Terms of the generator's loss in steps whose fakes are reconstructions. Lang et al. 2021, arXiv:2104.13369."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genkit.core.errors import GenkitError, RecipeError
from genkit.gan.slots import Pair, StepInterval, Term, Turn
from genkit.gan.styleex.likeness import Likeness, MultiScale, mean_distance
from genkit.gan.styleex.styleex import StyleEx, seen_among

TermWeight = Annotated[float, Field(ge=0)]


class OfReconstructions(Term):
    """weight * a distance of real images x and x' = G(E(x), p(x)), cut to [-1, 1].

    Args:
        weight: of the term.
        every: generator steps from one in which it counts to the next, all of them steps on reconstructions; it is
            `every` times as large there, see `Term`.
    """

    of = "generator"

    def __init__(self, weight: TermWeight = 1.0, every: StepInterval = 2):
        super().__init__(every)
        self.weight = weight

    def check(self, gan: Pair) -> None:
        alternate, steps = getattr(gan, "alternate", 0), getattr(getattr(gan, "rule", None), "steps", 1)
        if not isinstance(gan.generator, StyleEx) or not alternate:
            raise RecipeError(f"{self.name}: it is of reconstructions, which only styleex_training makes")
        missed = [i for i in range(0, self.every * steps * alternate, self.every) if i // steps % alternate]
        if missed:
            raise RecipeError(
                f"{self.name}.every: got {self.every}, but generator step {missed[0]} is of drawn w; take "
                f"a multiple of {steps * alternate}"
            )

    def forward(self, turn: Turn) -> Tensor:
        x = seen_among(turn.z)
        if x is None:
            raise GenkitError(f"{self.name}: this step's fakes are no reconstructions")
        assert isinstance(turn.gan.generator, StyleEx)
        return self.weight * self.distance(turn.gan.generator, x, turn.fake.x.clamp(-1, 1))

    @abstractmethod
    def distance(self, generator: StyleEx, x: Tensor, made: Tensor) -> Tensor:
        """A scalar, of images (B, C, H, W) in [-1, 1] and their reconstructions."""


class Reconstruction(OfReconstructions):
    """weight * mean |x - x'|."""

    name = "reconstruction"

    def distance(self, generator: StyleEx, x: Tensor, made: Tensor) -> Tensor:
        return mean_distance(x, made)


class Perceptual(OfReconstructions):
    """weight * a distance of x and x' that is not of single pixels.

    Args:
        likeness: what measures it; the mean over coarser scales of mean |x - x'| where it is not said.
        weight, every: see `reconstruction`.
    """

    name = "perceptual"

    def __init__(self, likeness: Likeness | None = None, weight: TermWeight = 0.1, every: StepInterval = 2):
        super().__init__(weight, every)
        self.likeness = likeness or MultiScale()

    def check(self, gan: Pair) -> None:
        super().check(gan)
        self.likeness.check(gan.generator.sample_shape)

    def distance(self, generator: StyleEx, x: Tensor, made: Tensor) -> Tensor:
        return self.likeness(x, made)


class LatentReconstruction(OfReconstructions):
    """weight * mean |E(x) - E(x')|, with gradients through both."""

    name = "latent_reconstruction"

    def __init__(self, weight: TermWeight = 0.1, every: StepInterval = 2):
        super().__init__(weight, every)

    def distance(self, generator: StyleEx, x: Tensor, made: Tensor) -> Tensor:
        return mean_distance(generator.encode(x), generator.encode(made))


class Agreement(OfReconstructions):
    """weight * mean KL(C(x) || C(x')): the classifier C shall say of the reconstruction what it says of the image."""

    name = "agreement"

    def distance(self, generator: StyleEx, x: Tensor, made: Tensor) -> Tensor:
        with torch.no_grad():
            logits = generator.logits(x)
        return agreement_loss(logits, generator.logits(made))


def agreement_loss(logits: Tensor, reconstructed: Tensor) -> Tensor:
    """L_cls = mean over the batch of KL(C(x) || C(x')), in nats; both logits (B, classes). A scalar."""
    return F.kl_div(reconstructed.log_softmax(1), logits.log_softmax(1), log_target=True, reduction="batchmean")

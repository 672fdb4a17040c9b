"""Generators whose latents are moved uphill in the log ratio l of densities, before they become samples.

Che et al. 2020, arXiv:2003.06060, Algorithm 1: Langevin dynamics of the energy E(z) = |z|^2 / 2 - l(G(z)).
Tanaka 2019, arXiv:1910.06832, Algorithm 2: descent of |z - z0 + delta| - l(G(z)) / k.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core import tree
from genkit.core.catalog import convert
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import GenkitError, RecipeError, kind_of
from genkit.core.evaluating import evaluating
from genkit.core.generator import LatentGenerator, within_range
from genkit.core.input_gradient import input_gradient
from genkit.core.randomness import Rows, stable_seed
from genkit.core.tree import Tree, packed, unpacked
from genkit.posthoc.rejection.sampler import RatioSampler

Steps = Annotated[int, Field(ge=0, le=1_000_000)]
Positive = Annotated[float, Field(gt=0)]
Lipschitz = Annotated[float, Field(ge=0)]
PAIRS = 100
DELTA = 1e-3
"""Keeps the norm away from 0, where it has no gradient (Tanaka 2019, Algorithm 2)."""
LatentLogits = Callable[[Tensor], Tensor]
"""z (B, D) -> l(G(z)), (B,), with a graph."""


def langevin_step(z: Tensor, logits: LatentLogits, noise: Tensor, eta: float) -> Tensor:
    """z - eta / 2 grad E(z) + sqrt(eta) noise, (B, D)."""
    downhill = z - input_gradient(logits, z)
    return z - eta / 2 * downhill + math.sqrt(eta) * noise


def transport_step(
    z: Tensor, start: Tensor, logits: LatentLogits, k: float, rate: float, radial: bool = True
) -> Tensor:
    """z - rate grad [ |z - start + delta| - l(G(z)) / k ], (B, D).

    Args:
        k: Lipschitz constant of l(G(z)), see `lipschitz`.
        radial: keep the part of the gradient along z; a normal prior in many dimensions lives on a sphere, and the
            authors leave it out.
    """

    def objective(at: Tensor) -> Tensor:
        return (at - start + DELTA).norm(dim=1) - logits(at) / k

    downhill = input_gradient(objective, z)
    if not radial:
        along = (downhill * z).sum(1, keepdim=True) / z.square().sum(1, keepdim=True)
        downhill = downhill - along * z
    return z - rate * downhill


def lipschitz(z: Tensor, logits: Tensor) -> float:
    """The largest |l(G(z)) - l(G(z'))| / |z - z'| of pairs: a lower bound on the constant.

    Args:
        z: (2 B, D); number k and number B + k are a pair.
        logits: l(G(z)), (2 B,); a pair of which one cannot be real says nothing.

    Raises:
        GenkitError: no pair says anything.
    """
    (one, other), (l_one, l_other) = z.chunk(2), logits.chunk(2)
    slopes = (l_one - l_other).abs() / (one - other).norm(dim=1)
    finite = slopes[slopes.isfinite()]
    if not len(finite):
        raise GenkitError("no two samples could both be real, by their ratio; give k, or train the critic longer")
    return finite.max().item()


class LatentSampler(RatioSampler):
    """Moves standard normal latents by steps that need the gradient of the ratio.

    Args:
        generator: maps standard normal latents to samples.
        ratio: see `RatioSampler`; with a gradient.
        steps: how many.

    Raises:
        RecipeError: a generator without such latents, or a ratio without a gradient.
    """

    generator: LatentGenerator

    def __init__(self, generator: LatentGenerator, ratio: nn.Module, steps: Steps):
        super().__init__(generator, ratio)
        name = type(self).__name__
        if not isinstance(generator, LatentGenerator) or not generator.standard_normal:
            raise RecipeError(
                f"generator: {name} moves standard normal latents; {kind_of(generator)} has none, or does not say so "
                "(standard_normal)"
            )
        if not getattr(ratio, "smooth", True):
            raise RecipeError(f"ratio: {name} needs its gradient, and an isotonic calibration has none; use platt")
        self.steps = convert(Steps, steps, where="steps")

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        started = time.monotonic()
        latents = tree.map(lambda leaf: leaf.to(self.device), self.generator.latents(rows))
        moved = self._moved(packed(latents), self._logits(latents, condition), rows)
        x = self.generator(unpacked(moved, latents), condition).float()
        self.proposals.made += len(rows)
        self.proposals.kept += len(rows)
        self.proposals.seconds += time.monotonic() - started
        return within_range(x)

    def _logits(self, like: Tree, condition: Mapping[str, Tensor]) -> LatentLogits:
        def logits(z: Tensor) -> Tensor:
            return self.log_ratio(self.generator(unpacked(z, like), condition).float(), condition).to(z)

        return logits

    @abstractmethod
    def _moved(self, z: Tensor, logits: LatentLogits, rows: Rows) -> Tensor: ...

    def remarks(self, crew: Crew = ALONE) -> list[str]:
        spent = self.spent(crew)
        cost = 1000 * spent.seconds / max(1, spent.kept)
        return [f"{self.steps} steps of the latents, {cost:.3g} ms a sample"]


class LatentLangevin(LatentSampler):
    """DDLS: Langevin dynamics of E(z) = |z|^2 / 2 - l(G(z)). Che et al. 2020, arXiv:2003.06060, Algorithm 1.

    Args:
        generator, ratio, steps: see `LatentSampler`.
        eta: step size; the noise of a step has the variance eta.
    """

    kind = "ddls"

    def __init__(self, generator: LatentGenerator, ratio: nn.Module, steps: Steps = 50, eta: Positive = 0.01):
        super().__init__(generator, ratio, steps)
        self.eta = convert(Positive, eta, where="eta")

    def _moved(self, z: Tensor, logits: LatentLogits, rows: Rows) -> Tensor:
        for _ in range(self.steps):
            z = langevin_step(z, logits, rows.normal(z.shape[1]).to(z), self.eta)
        return z


class LatentTransport(LatentSampler):
    """DOT: descent of |z - z0| - l(G(z)) / k, near the sample where it began. Tanaka 2019, arXiv:1910.06832.

    Args:
        generator, ratio, steps: see `LatentSampler`.
        rate: of the descent.
        k: Lipschitz constant of l(G(z)); 0 takes the steepest of 100 pairs.
    """

    kind = "dot"

    def __init__(
        self,
        generator: LatentGenerator,
        ratio: nn.Module,
        steps: Steps = 20,
        rate: Positive = 0.01,
        k: Lipschitz = 0.0,
    ):
        super().__init__(generator, ratio, steps)
        self.rate, self.k = convert(Positive, rate, where="rate"), convert(Lipschitz, k, where="k")
        self._steepest = self.k

    def _moved(self, z: Tensor, logits: LatentLogits, rows: Rows) -> Tensor:
        self._steepest = self._steepest or self._found()
        start = z
        for _ in range(self.steps):
            z = transport_step(z, start, logits, self._steepest, self.rate, radial=False)
        return z

    def _found(self) -> float:
        """In place of a k that is not known: the steepest of some pairs."""
        rows = Rows(2 * PAIRS, torch.Generator().manual_seed(stable_seed("pairs")), self.device)
        condition = {k: v.to(self.device) for k, v in self.conditions.resolve(None, 2 * PAIRS, rows).items()}
        with torch.no_grad(), evaluating(self):
            latents = tree.map(lambda leaf: leaf.to(self.device), self.generator.latents(rows))
            flat = packed(latents)
            logits = self._logits(latents, condition)(flat)
        return max(lipschitz(flat, logits), 1e-12)

"""Langevin dynamics in latents and pixel noise at once (Xiao et al. 2021, arXiv:2010.00654, Sec. 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from genkit.core import tree
from genkit.core.catalog import check_arguments
from genkit.core.errors import BadState
from genkit.core.input_gradient import input_gradient
from genkit.core.known import known
from genkit.core.pretrained import Configured
from genkit.core.randomness import Randomness
from genkit.core.tree import Tree, packed, unpacked
from genkit.vae.energy.decoder import Drawn, NoisyDecoder, log_normal

Energy = Callable[[Tensor], Tensor]
"""Values (n, C, H, W) in [0, 1] -> energies (n,)."""
Coordinates = tuple[Tree, Tensor]
"""Latents and pixel noise, the coordinates of a chain."""
Target = Literal["exact", "published"]


class Runaway(BadState):
    """A chain that has left the finite numbers."""


class Point(NamedTuple):
    """Positions of n chains, with potential and gradient.

    Attributes:
        at: all coordinates of a chain in one row, (n, D).
        potential, gradient: U (n,) and dU/d at (n, D).
        energy: E(x), the part of U that is the energy network's, (n,).
    """

    at: Tensor
    potential: Tensor
    gradient: Tensor
    energy: Tensor


@dataclass(frozen=True)
class Refined:
    """n chains at their end, without a graph.

    Attributes:
        latents, noise: the coordinates; noise (n, C, H, W).
        x: (n, C, H, W) in [0, 1].
        mean: the decoder's, like x; it may leave the range.
        energy_before, energy: E(x) at the start and at the end, (n,).
        moved_latents, moved_noise: root mean square of the distances moved by a chain's coordinates, (n,).
        accepted: share of the steps that the Metropolis correction took, (n,); None where there is none.
    """

    latents: Tree
    noise: Tensor
    x: Tensor
    mean: Tensor
    energy_before: Tensor
    energy: Tensor
    moved_latents: Tensor
    moved_noise: Tensor
    accepted: Tensor | None = None

    def watched(self) -> dict[str, Tensor]:
        """Numbers for the log, (n,) each; `energy_drop` is E at the start less E at the end."""
        moved = {"moved_latents": self.moved_latents, "moved_noise": self.moved_noise}
        accepted = {} if self.accepted is None else {"accepted": self.accepted}
        return {"energy_drop": self.energy_before - self.energy, **moved, **accepted}


class Langevin(Configured):
    """eps <- eps - step_size / 2 dU/d eps + sqrt(step_size) n, in latents and pixel noise at once.

    Args:
        steps: number of steps.
        step_size: for all coordinates; the paper's are 3e-6 to 8e-5.
        target: "exact": U = E(x) - log p(latents, noise), whose chains have exp(-E(x)) p(x, z) as their limit.
            "published": U = E(x) - log p(z) - log p(x | z), as in the authors' code: no change of variables, so that
            chains lean towards latents with small standard deviations.
        metropolis: accept or refuse each step, so that the limit is exact at any step size (Roberts & Tweedie 1996).
            Costs one gradient more.

    Raises:
        RecipeError: an argument out of range.
    """

    def __init__(
        self,
        steps: Annotated[int, Field(ge=1)],
        step_size: Annotated[float, Field(gt=0, allow_inf_nan=False)],
        target: Target = "exact",
        metropolis: bool = False,
    ):
        given = {"steps": steps, "step_size": step_size, "target": target, "metropolis": metropolis}
        check_arguments(Langevin, given, where="langevin")
        self.steps, self.step_size, self.target, self.metropolis = steps, step_size, target, metropolis

    def refine(self, energy: Energy, decoder: NoisyDecoder, start: Coordinates, randomness: Randomness) -> Refined:
        """The chains of `start` after all steps, without a graph; row i depends on row i of start and randomness alone.

        Energy and decoder are called as they are: in eval mode, and without gradients of their own, by who calls.

        Raises:
            Runaway: an energy at the end that is not finite.
            GenkitError: an energy that does not depend on x, or is not one number a sample.
        """
        joint = Joint(energy, decoder, self.target, start)
        flat = packed(start)
        point = first = joint.point(flat)
        accepted = torch.zeros_like(first.energy)
        for step in range(self.steps):
            noise = randomness.normal(flat.shape[1]).to(flat)
            if self.metropolis:
                chance = randomness.uniform().to(flat)
                point, taken = self.corrected_step(joint, point, noise, chance)
                accepted += taken
            else:
                last = step == self.steps - 1
                at = self.proposal(point, noise)
                point = point._replace(at=at) if last else joint.point(at)
        return self._refined(joint, first, point.at, accepted / self.steps if self.metropolis else None)

    def proposal(self, point: Point, noise: Tensor) -> Tensor:
        """The end of one step, (n, D), with standard normal `noise` (n, D)."""
        return point.at - self.step_size / 2 * point.gradient + math.sqrt(self.step_size) * noise

    def corrected_step(self, joint: Joint, old: Point, noise: Tensor, chance: Tensor) -> tuple[Point, Tensor]:
        """One step that is taken where `chance`, uniform (n,), allows it, and where it was, (n,) bool.

        The logarithm of the Metropolis ratio is U - U' + log q(old | new) - log q(new | old), in which all that is
        large cancels: with G the sum of both gradients, U - U' + sqrt(s) / 2 <n, G> - s / 8 |G|^2.
        """
        new = joint.point(self.proposal(old, noise))
        both = old.gradient + new.gradient
        drift = math.sqrt(self.step_size) / 2 * (noise * both).sum(1) - self.step_size / 8 * both.square().sum(1)
        taken = chance.log() < old.potential - new.potential + drift
        kept = (torch.where(taken if a.dim() == 1 else taken[:, None], b, a) for a, b in zip(old, new, strict=True))
        return Point(*kept), taken

    def _refined(self, joint: Joint, first: Point, at: Tensor, accepted: Tensor | None) -> Refined:
        latents, noise = unpacked(at, joint.like)
        with torch.no_grad():
            drawn = joint.decoder.draw(latents, noise)
            energy = joint.energy(drawn.x)
        check_finite(energy, f" after {self.steps} Langevin steps of size {self.step_size:g}")
        pixels = noise[0].numel()
        came = (at - first.at).split([at.shape[1] - pixels, pixels], 1)
        moved_latents, moved_noise = (part.square().mean(1).sqrt() for part in came)
        before = first.energy
        return Refined(latents, noise, drawn.x, drawn.mean, before, energy, moved_latents, moved_noise, accepted)


class Joint:
    """U of an energy and a decoder, as a function of all coordinates of a chain in one row."""

    def __init__(self, energy: Energy, decoder: NoisyDecoder, target: Target, like: Coordinates):
        self.energy, self.decoder, self.like = energy, decoder, like
        self.log_density = {"exact": exact, "published": published}[target]

    def point(self, at: Tensor) -> Point:
        """Potential and gradient at `at` (n, D), without a graph."""
        seen: list[Tensor] = []

        def potential(flat: Tensor) -> Tensor:
            latents, noise = unpacked(flat, self.like)
            drawn = self.decoder.draw(latents, noise)
            energy = self.energy(drawn.x)
            u = energy - self.log_density(drawn, noise)
            seen.extend((u.detach(), energy.detach()))
            return u

        gradient = input_gradient(potential, at)
        u, energy = seen
        return Point(at, u, gradient, energy)


def check_finite(energy: Tensor, when: str = "") -> Tensor:
    """Energies (n,).

    Raises:
        Runaway: one is not finite.
    """
    if not known(energy.isfinite().all()):
        bad = int((~energy.isfinite()).nonzero()[0])
        raise Runaway(
            f"the energy of sample {bad} is {energy[bad]:g}{when}: it ran away; take fewer steps or a smaller "
            "step_size where there are any, or an earlier energy network"
        )
    return energy


def fresh(decoder: NoisyDecoder, randomness: Randomness) -> Coordinates:
    """The start of a new chain: latents and noise of a sample of the decoder."""
    latents = decoder.latents(randomness)
    return latents, randomness.normal(*decoder.sample_shape).to(tree.leaves(latents)[0].device)


def exact(drawn: Drawn, noise: Tensor) -> Tensor:
    """log p(latents, noise), (n,): the noise is standard normal."""
    return drawn.log_density + log_normal(noise)


def published(drawn: Drawn, noise: Tensor) -> Tensor:
    """log p(z) + log p(x | z), (n,)."""
    return drawn.log_prior + drawn.log_likelihood

"""Robust optimal transport between large sets: an estimate from below, by a Lipschitz network.

Balaji et al. 2020, arXiv:2010.05862: the distance is max over 1-Lipschitz f of the least mean w f(x) - mean v f(y) over
weights w, v in chi-square balls, which have a closed form for the scores of f. Every f gives a value at or below the
distance. f is 1-Lipschitz by construction: orthogonal layers and sorted pairs (Anil et al. 2019, arXiv:1811.05381).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from genkit.core.chi_square import closed_form
from genkit.core.errors import EvaluationError
from genkit.core.progress import Progress
from genkit.core.randomness import seed_networks
from genkit.evaluation.functional.matrices import Features, as_pair

LOOKS, AT_ONCE = 20, 65536
"""Evaluations on the whole sets, and rows at a time."""

RobustSides = Literal["both", "x"]


@dataclass(frozen=True)
class RobustDual:
    """The best bound that was found.

    Attributes:
        value: at or below the robust distance of cost |x - y|, up to rounding.
        x_weights, y_weights: (n,), (m,) of mean one; zero where a sample is taken for junk.
        x_score, y_score: (n,), (m,), values of f: low weight where x scores high, or y low.
    """

    value: float
    x_weights: Tensor
    y_weights: Tensor
    x_score: Tensor
    y_score: Tensor


def robust_wasserstein_dual(
    x: Features,
    y: Features,
    rho: float,
    *,
    sides: RobustSides = "both",
    steps: int = 300,
    batch_size: int = 512,
    width: int = 64,
    lr: float = 1e-2,
    seed: int = 0,
    progress: Progress | None = None,
) -> RobustDual:
    """`robust_wasserstein(..., cost="euclidean")` estimated from below, for sets of any size.

    Args:
        x, y: (n, d) and (m, d).
        rho: radius of the balls, 0 is plain transport; e / (2 (1 - e)) lets a share e of the samples go.
        sides: the sets whose weights may move.
        steps, batch_size, lr: of Adam, with a cosine schedule; more steps, tighter.
        width: of the two hidden layers, even.
        seed: of network and batches. The global random state is left as it was.
        progress: called with (steps done, in total).

    Raises:
        EvaluationError: rho negative or not finite, sets that do not fit, or settings out of range.
    """
    if not (rho >= 0 and math.isfinite(rho)):
        raise EvaluationError(f"rho {rho}: the radius of a chi-square ball is 0 or more")
    if min(steps, batch_size) < 1 or width < 2 or width % 2 or not lr > 0:
        raise EvaluationError(f"steps {steps}, batch_size {batch_size}, lr {lr} are above 0; width {width} is even")
    a, b = as_pair(x, y, 2)
    centre = torch.cat([a, b]).mean(0)
    scale = float((torch.cat([a, b]) - centre).norm(dim=1).mean()) or 1.0
    a, b = ((side - centre).div(scale).float() for side in (a, b))
    with torch.random.fork_rng(devices=[]):
        seed_networks(seed)
        found = _Climb(a, b, rho, sides, width, lr, steps).climb(steps, batch_size, progress)
    return RobustDual(
        found.value * scale, found.x_weights, found.y_weights, found.x_score * scale, found.y_score * scale
    )


class MaxMin(nn.Module):
    """(B, 2 k) -> neighbours sorted; keeps the norm of gradients."""

    def forward(self, h: Tensor) -> Tensor:
        pairs = h.unflatten(-1, (-1, 2))
        return torch.cat([pairs.amax(-1), pairs.amin(-1)], -1)


def lipschitz_network(inputs: int, width: int) -> nn.Sequential:
    """(B, inputs) -> (B, 1), of Lipschitz constant at most one in the Euclidean norm."""
    sizes = [(inputs, width), (width, width), (width, 1)]
    layers = [orthogonal(nn.Linear(*size), orthogonal_map="cayley") for size in sizes]
    return nn.Sequential(layers[0], MaxMin(), layers[1], MaxMin(), layers[2])


class _Climb:
    """Gradient ascent on the least weighted difference, which is concave in f."""

    def __init__(self, x: Tensor, y: Tensor, rho: float, sides: RobustSides, width: int, lr: float, steps: int):
        self.x, self.y, self.rho, self.sides = x, y, rho, sides
        self.network = lipschitz_network(x.shape[1], width).to(x.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr, betas=(0.9, 0.99))
        self.rate = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps)

    def climb(self, steps: int, batch_size: int, progress: Progress | None) -> RobustDual:
        best = self.look()
        for step in range(1, steps + 1):
            self.step(batch_size)
            if step % max(1, steps // LOOKS) == 0 or step == steps:
                best = max(best, self.look(), key=lambda found: found.value)
            if progress:
                progress(step, steps)
        return best

    def step(self, batch_size: int) -> None:
        batch = [_drawn(side, batch_size) for side in (self.x, self.y)]
        s, t = self.network(torch.cat(batch)).squeeze(1).split([len(part) for part in batch])
        w, v = self.weights(s, t)
        loss = (v * t).mean() - (w * s).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.rate.step()

    def weights(self, s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The least (w s).mean() - (v t).mean() that the balls allow, by its weights."""
        v = closed_form(-t, self.rho) if self.sides == "both" else torch.ones_like(t)
        return closed_form(s, self.rho), v

    @torch.no_grad()
    def look(self) -> RobustDual:
        """The bound over all samples."""
        s, t = (
            torch.cat([self.network(part).squeeze(1) for part in side.split(AT_ONCE)]).double()
            for side in (self.x, self.y)
        )
        w, v = self.weights(s, t)
        return RobustDual(float((w * s).mean() - (v * t).mean()), w, v, s, t)


def _drawn(side: Tensor, n: int) -> Tensor:
    """All rows when they are few, else n at random."""
    return side if len(side) <= n else side[torch.randint(len(side), (n,)).to(side.device)]

"""The choice of the steps that a batch is trained on."""

from __future__ import annotations

from typing import Annotated

import torch
from einops import repeat
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.precision import wide
from genkit.core.processes import whole_batch
from genkit.core.system import Data


class StepChoice(nn.Module):
    """Every step equally often. DDPM Algorithm 1, line 3."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def setup(self, steps: int) -> None:
        """Sets the number of steps, once, before anything is drawn."""
        self.steps = steps

    def draw(self, data: Data) -> tuple[Tensor, Tensor]:
        """Steps (B,) int64 and the weights (B,) that keep the loss unbiased."""
        i = data.integers(self.steps)
        return i, torch.ones(len(i), device=i.device)

    def learn(self, i: Tensor, losses: Tensor) -> None:
        """Records the unweighted losses (B,) of this process at the steps i."""


class SecondMoment(StepChoice):
    """p_t ~ sqrt(E[L_t^2]), estimated from each step's last losses. Nichol & Dhariwal 2021, Eq. 18.

    Until all have been seen often enough, steps are drawn uniformly. The authors wait for 10 losses of every step, 23 k
    samples at T = 1000. Neighbouring steps may share a history, which shortens the wait by their number.

    Args:
        groups: number of histories, each of an equal run of steps; 0 gives every step its own, as the authors do.
        history: losses that are remembered of each.
        uniform: share of draws that stays uniform.
    """

    group: Tensor
    squares: Tensor
    seen: Tensor

    def __init__(
        self,
        groups: Annotated[int, Field(ge=0)] = 50,
        history: Annotated[int, Field(ge=1, le=1000)] = 10,
        uniform: Annotated[float, Field(gt=0, le=1)] = 0.001,
    ):
        super().__init__()
        self.groups, self.history, self.uniform = groups, history, uniform
        self.register_buffer("squares", torch.zeros(0, history))
        self.register_buffer("seen", torch.zeros(0, dtype=torch.long))
        self.register_buffer("group", torch.zeros(0, dtype=torch.long), persistent=False)

    def setup(self, steps: int) -> None:
        super().setup(steps)
        groups = self.groups or steps
        if groups > steps:
            raise RecipeError(f"second_moment.groups: {groups} histories for {steps} steps; use at most {steps}")
        self.squares, self.seen = torch.zeros(groups, self.history), torch.zeros(groups, dtype=torch.long)
        self.group = torch.arange(steps) * groups // steps

    def probabilities(self) -> Tensor:
        """p_t of every step, (T,) float64."""
        squares = wide(self.squares)
        uniform = torch.full((self.steps,), 1 / self.steps, dtype=torch.float64, device=squares.device)
        if bool((self.seen < self.history).any()):
            return uniform
        root = squares.mean(1).sqrt()[self.group.to(squares.device)]
        return (1 - self.uniform) * root / root.sum() + self.uniform * uniform

    def draw(self, data: Data) -> tuple[Tensor, Tensor]:
        p = self.probabilities()
        u = data.uniform(dtype=torch.float64)
        i = torch.searchsorted(p.cumsum(0), u.to(p.device)).clamp(max=self.steps - 1)
        return i.to(self.seen.device), (1 / (self.steps * p[i])).float().to(self.seen.device)

    @torch.no_grad()
    def learn(self, i: Tensor, losses: Tensor) -> None:
        i, squares = whole_batch(i), whole_batch(losses).float() ** 2
        for group, square in zip(self.group[i].tolist(), squares, strict=True):
            self.squares[group, self.seen[group] % self.history] = square
            self.seen[group] += 1


def quarters(i: Tensor, losses: Tensor) -> dict[str, Tensor]:
    """Mean loss of each quarter of the batch, from the least noisy to the noisiest; empty for fewer than 4 samples."""
    i, losses = whole_batch(i), whole_batch(losses)
    if len(i) < 4:
        return {}
    parts = losses[i.argsort()].tensor_split(4)
    return {f"noise_quarter_{k}": part.mean() for k, part in enumerate(parts, start=1)}


def label_or_none(label: Tensor, classes: int, u: Tensor, dropout: float) -> Tensor:
    """Labels of which a share `dropout` is replaced by number `classes`, "no label"; u (B,) uniform."""
    return torch.where(u < dropout, repeat(torch.tensor(classes, device=label.device), "-> b", b=len(label)), label)

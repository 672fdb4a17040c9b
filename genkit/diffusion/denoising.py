"""The input of a solver: a process, a network under one condition, and its guidance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genkit.diffusion.process import Prediction, Process

NetworkOutput = Callable[[Tensor, Tensor], Tensor]
"""x_t (B, C, ...), timesteps (B,) -> output (B, C or 2C, ...) float32."""

Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]
"""x_t, mean of the step back, timesteps -> s * grad log p(y | x), (B, C, ...)."""


@dataclass(frozen=True)
class Denoising:
    """A network that denoises under one condition, its process and its guidance.

    Attributes:
        process: full or respaced.
        output: the network.
        gradient: of a classifier's log-probability, already scaled; None without guidance.
        clip: predicted images are clipped to [-1, 1].
    """

    process: Process
    output: NetworkOutput
    gradient: Gradient | None = None
    clip: bool = True

    def on(self, process: Process) -> Denoising:
        """The same, over another spacing of its process."""
        return replace(self, process=process)

    def predict(self, x_t: Tensor, i: Tensor) -> Prediction:
        return self.process.predict(self.output(x_t, self.process.timesteps[i]), x_t, i, clip=self.clip)

    def guided_mean(self, p: Prediction, x_t: Tensor, i: Tensor) -> Tensor:
        """mu + Sigma g. Dhariwal & Nichol 2021, Algorithm 1."""
        if self.gradient is None:
            return p.mean
        return p.mean + p.variance * self.gradient(x_t, p.mean, self.process.timesteps[i])

    def guided_eps(self, p: Prediction, x_t: Tensor, i: Tensor) -> Tensor:
        """eps - sqrt(1 - abar) g, with eps from the clipped image. Dhariwal & Nichol 2021, Algorithm 2."""
        eps = self.process.eps_from_x0(p.x0, x_t, i)
        if self.gradient is None:
            return eps
        g = self.gradient(x_t, p.mean, self.process.timesteps[i])
        return eps - self.process.look_up("noise", i, x_t) * g


def steps_like(i: int, x: Tensor) -> Tensor:
    """Step i for every row of x."""
    return torch.full((x.shape[0],), i, device=x.device, dtype=torch.long)

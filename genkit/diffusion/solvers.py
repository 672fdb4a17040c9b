"""Solvers, from noise to images, and their input: a process, a network under one condition, and its guidance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.pretrained import Configured
from genkit.core.progress import Progress
from genkit.core.randomness import Randomness
from genkit.diffusion.process import Prediction, Process
from genkit.diffusion.schedules import Spacing

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


def silence(done: int, total: int) -> None: ...


class Solver(Configured, ABC):
    """Turns noise into images in a number of network evaluations that the user chooses."""

    @abstractmethod
    def check(self, process: Process) -> None:
        """Raises RecipeError when the process cannot be solved in these steps."""

    @abstractmethod
    def run(self, denoising: Denoising, noise: Randomness, shape: Sequence[int], watch: Progress = silence) -> Tensor:
        """Images (rows, *shape), one row for each row of `noise`."""


class StepwiseSolver(Solver):
    """One network evaluation a step of a respaced process.

    Args:
        steps: the steps of training that are taken, in guided-diffusion's notation (see
            `genkit.diffusion.schedules.space_steps`); "" takes all.
    """

    def __init__(self, steps: Spacing = ""):
        self.steps = str(steps)

    def process_of(self, full: Process) -> Process:
        return _respaced(full, self.steps)

    def check(self, process: Process) -> None:
        self.process_of(process)

    def run(self, denoising: Denoising, noise: Randomness, shape: Sequence[int], watch: Progress = silence) -> Tensor:
        denoising = denoising.on(self.process_of(denoising.process))
        total, x = len(denoising.process), noise.normal(*shape)
        for i in reversed(range(total)):
            x = self.step(denoising, x, i, noise)
            watch(total - i, total)
        return x

    @abstractmethod
    def step(self, denoising: Denoising, x: Tensor, i: int, noise: Randomness) -> Tensor:
        """x_{t-1} from x_t at step i of the respaced process."""


class Ancestral(StepwiseSolver):
    """x_{t-1} ~ N(mu + Sigma g, Sigma). DDPM Algorithm 2; guidance g: Dhariwal & Nichol 2021, Algorithm 1.

    Args:
        steps: as StepwiseSolver.
        variance: takes a fixed variance instead of the one that the network learned; None keeps the process's.
    """

    def __init__(self, steps: Spacing = "", variance: Literal["fixed_small", "fixed_large"] | None = None):
        super().__init__(steps)
        self.variance = variance

    def process_of(self, full: Process) -> Process:
        return _respaced(full, self.steps, self.variance)

    def step(self, denoising: Denoising, x: Tensor, i: int, noise: Randomness) -> Tensor:
        at = steps_like(i, x)
        p = denoising.predict(x, at)
        mean = denoising.guided_mean(p, x, at)
        return mean + (0.5 * p.log_variance).exp() * noise.normal(*x.shape[1:]) if i else mean


class DDIM(StepwiseSolver):
    """Song, Meng & Ermon 2021, arXiv:2010.02502, Eq. 12; guidance: Dhariwal & Nichol 2021, Algorithm 2.

    As the authors of guided diffusion do, the noise is derived again from the clipped image, and the image of the
    guided noise is not clipped again.

    Args:
        steps: as StepwiseSolver; "ddim25" is the authors' spacing.
        eta: 0 is deterministic, 1 has the variance of ancestral sampling.
    """

    def __init__(self, steps: Spacing = "", eta: Annotated[float, Field(ge=0, le=1)] = 0.0):
        super().__init__(steps)
        self.eta = eta

    def step(self, denoising: Denoising, x: Tensor, i: int, noise: Randomness) -> Tensor:
        at = steps_like(i, x)
        p = denoising.predict(x, at)
        eps, x0 = denoising.guided_eps(p, x, at), p.x0
        if denoising.gradient is not None:
            x0 = denoising.process.x0_from_eps(eps, x, at)
        abar, before = (denoising.process.look_up(k, at, x) for k in ("abar", "abar_before"))
        sigma = self.eta * ((1 - before) / (1 - abar)).sqrt() * (1 - abar / before).sqrt()
        mean = before.sqrt() * x0 + (1 - before - sigma**2).clamp(min=0).sqrt() * eps
        return mean + sigma * noise.normal(*x.shape[1:]) if i and self.eta else mean

    @torch.no_grad()
    def invert(self, denoising: Denoising, x0: Tensor, watch: Progress = silence) -> Tensor:
        """The noise x_T (B, ...) from which the deterministic steps lead to x0; no guidance, no graph."""
        denoising, x = denoising.on(self.process_of(denoising.process)), x0
        for i in range(len(denoising.process)):
            x = self.step_up(denoising, x, i)
            watch(i + 1, len(denoising.process))
        return x

    def step_up(self, denoising: Denoising, x: Tensor, i: int) -> Tensor:
        """x_{t+1} from x_t by the reversed ODE."""
        at = steps_like(i, x)
        p = denoising.predict(x, at)
        eps = denoising.process.eps_from_x0(p.x0, x, at)
        after = denoising.process.look_up("abar_after", at, x)
        return after.sqrt() * p.x0 + (1 - after).sqrt() * eps


def _respaced(full: Process, kept: str, variance: str | None = None) -> Process:
    settings = {"kept": kept, "variance": variance}
    asked = {name: value for name, value in settings.items() if value}
    return full.with_settings(**asked) if asked else full

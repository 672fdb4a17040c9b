"""Data N(mean, std^2), for which every part of a diffusion is known in closed form, worked out in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.core.randomness import Randomness, Sampler
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising, Solver

Answer = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Gaussian:
    """Gaussian data, with the outputs of an ideal network."""

    mean: float = 0.3
    std: float = 0.5

    def image(self, abar: Tensor, x_t: Tensor) -> Tensor:
        """E[x_0 | x_t]."""
        total = abar * self.std**2 + 1 - abar
        return self.mean + abar.sqrt() * self.std**2 / total * (x_t - abar.sqrt() * self.mean)

    def spread(self, abar: Tensor) -> Tensor:
        """Var[x_0 | x_t]."""
        return 1 / (1 / self.std**2 + abar / (1 - abar))

    def predictions(self, abar: Tensor, x_t: Tensor) -> dict[str, Tensor]:
        x0 = self.image(abar, x_t)
        eps = (x_t - abar.sqrt() * x0) / (1 - abar).sqrt()
        return {"eps": eps, "x0": x0, "v": abar.sqrt() * eps - (1 - abar).sqrt() * x0}

    def step_variance(self, process: Process) -> Tensor:
        """Var[x_{t-1} | x_t] at every kept step, by Bayes from the two ends of that step."""
        before = torch.cat([torch.ones(1, dtype=torch.float64), process.abar[:-1]])
        prior = before * self.std**2 + 1 - before
        ratio = process.abar / before
        return 1 / (1 / prior + ratio / (1 - ratio))

    def network(self, process: Process) -> Answer:
        """The ideal answer in what `process` predicts; with the logarithm of the true variance when it is learned."""
        kept = {float(timestep): i for i, timestep in enumerate(process.timesteps)}
        log_variance = self.step_variance(process).log()

        def answer(x_t: Tensor, timestep: Tensor) -> Tensor:
            i = torch.tensor([kept[t] for t in timestep.unique().tolist()])
            assert len(i) == 1, "one step at a time"
            abar = process.abar[i].view(-1, *[1] * (x_t.dim() - 1))
            said = self.predictions(abar, x_t.double())[process.prediction]
            if process.variance == "learned":
                said = torch.cat([said, log_variance[i].view_as(abar).expand_as(said)], 1)
            return said.float()

        return answer

    def denoising(self, process: Process) -> Denoising:
        return Denoising(process, self.network(process), clip=False)


class Draws(Randomness):
    """Many rows of one generator, faster than one generator a row."""

    def __init__(self, n: int, seed: int = 0):
        self.n, self.rng = n, torch.Generator().manual_seed(seed)

    def draw(self, sampler: Sampler) -> Tensor:
        return sampler(self.n, self.rng)


class Impulses(Randomness):
    """Row 0 is free of noise, row k has a single one, in draw k: they show the weights of noise in an affine chain."""

    def __init__(self, draws: int):
        self.draws, self.done = draws, 0

    def draw(self, sampler: Sampler) -> Tensor:
        self.done += 1
        noise = torch.zeros(self.draws + 1, 1)
        noise[self.done] = 1
        return noise


def moments(solver: Solver, denoising: Denoising, draws: int) -> tuple[float, float]:
    """Exact mean and standard deviation of what a solver makes, `draws` times told noise, of an affine chain."""
    impulses = Impulses(draws)
    with torch.no_grad():
        x = solver.run(denoising, impulses, (1,)).double().flatten()
    assert impulses.done == draws, f"noise was drawn {impulses.done} times"
    return x[0].item(), (x[1:] - x[0]).square().sum().sqrt().item()


class Counted:
    """Counts the calls of a network and remembers what it was told."""

    def __init__(self, answer: Answer):
        self.answer, self.timesteps = answer, list[float]()

    def __call__(self, x_t: Tensor, timestep: Tensor) -> Tensor:
        assert (timestep == timestep[0]).all()
        self.timesteps.append(timestep[0].item())
        return self.answer(x_t, timestep)

"""The noise that deterministic sampling starts from, as a latent. Song, Meng & Ermon 2021, arXiv:2010.02502."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.graph import Graph
from genkit.core.randomness import Randomness, Sampler
from genkit.diffusion.diffusion_generator import DiffusionGenerator
from genkit.diffusion.schedules import Spacing
from genkit.diffusion.solvers import DDIM


class NoiseLatents(LatentGenerator):
    """A diffusion model whose images are a function of x_T alone, with a graph through all of its steps.

    So it can be moved along directions and learned of like a GAN; its samples are those of the model with the solver
    `ddim`. A pass costs as many evaluations of the network as there are steps.

    Args:
        generator: guided or not.
        steps: see `StepwiseSolver`; few, since gradients go through all.

    Raises:
        RecipeError: the process cannot be solved in these steps.
    """

    def __init__(self, generator: DiffusionGenerator, steps: Spacing = "ddim10"):
        super().__init__()
        self.generator, self.solver = generator, DDIM(steps)
        self.solver.check(generator.process)
        self.sample_shape, self.conditions, self.made = generator.sample_shape, generator.conditions, generator.made

    @property
    def standard_normal(self) -> bool:
        return True

    def condition_of(self, x: Tensor) -> Condition:
        return self.generator.condition_of(x)

    def graph(self) -> Graph:
        """None: a chain of networks is no file to hand on; its generator's denoiser is."""
        return Generator.graph(self)

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.normal(*self.sample_shape)

    def forward(self, z: Any, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        return self.solver.run(self.generator.denoising(condition or {}), Given(z), self.sample_shape)


class Given(Randomness):
    """Rows of noise that are there already; deterministic steps ask for no others."""

    def __init__(self, noise: Tensor):
        self.noise = noise

    def draw(self, sampler: Sampler[Any]) -> Any:
        return self.noise

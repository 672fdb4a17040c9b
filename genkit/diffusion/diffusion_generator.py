"""The base of all diffusion generators: they sample by solving a process backwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from genkit.core.condition import Condition
from genkit.core.generator import Generator, within_range
from genkit.core.graph import Graph
from genkit.core.progress import Progress
from genkit.core.randomness import Rows
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising, Solver, silence


class DiffusionGenerator(Generator):
    """Samples by solving its process backwards.

    Attributes:
        process: the noise of the training images.
        solver: turns noise into images; may be exchanged at any time.
        watch: called after every step.
    """

    process: Process
    solver: Solver
    watch: Progress = staticmethod(silence)

    @abstractmethod
    def denoising(self, condition: Mapping[str, Tensor]) -> Denoising:
        """Input of the solver, under a checked condition of one row a sample."""

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        return within_range(self.solver.run(self.denoising(condition), rows, self.sample_shape, self.watch))

    def graph(self) -> Graph:
        """Its denoiser, see `denoiser_graph`."""
        from genkit.diffusion.denoiser_graph import denoiser_graph

        return denoiser_graph(self)


class DiffusionWrapper(DiffusionGenerator):
    """Guides another diffusion generator, and shares its process and solver."""

    generator: DiffusionGenerator

    def __init__(self, generator: DiffusionGenerator):
        super().__init__()
        self.generator, self.sample_shape, self.conditions = generator, generator.sample_shape, generator.conditions
        self.made = generator.made

    def condition_of(self, x: Tensor) -> Condition:
        return self.generator.condition_of(x)

    @property
    def process(self) -> Process:  # type: ignore[override]
        return self.generator.process

    @property
    def solver(self) -> Solver:  # type: ignore[override]
        return self.generator.solver

    @solver.setter
    def solver(self, solver: Solver) -> None:
        self.generator.solver = solver

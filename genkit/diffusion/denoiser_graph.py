"""The denoiser of a diffusion model as one function of named tensors: a noisy image and its timestep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.core.graph import Graph, Port, condition_ports
from genkit.core.randomness import Rows
from genkit.diffusion.process import Process

if TYPE_CHECKING:
    from genkit.diffusion.diffusion_generator import DiffusionGenerator

X, T = "x", "t"
PREDICTED = {"eps": "the noise eps", "x0": "the clean image", "v": "v = sqrt(abar) eps - sqrt(1 - abar) x0"}
VARIANCES = {
    "learned": ", then the logarithm of the variance of the step back",
    "learned_range": ", then the place of the variance between its two fixed ones, from -1 to 1",
}


def denoiser_graph(generator: DiffusionGenerator) -> Graph:
    """(x, t, conditions) -> what the network predicts, guided where a `classifier_free_guided` does.

    Raises:
        GenkitError: guided by the gradient of a classifier.
    """
    ports, process, shape = condition_ports(generator.eval()), generator.process, tuple(generator.sample_shape)

    def example(n: int, rng: torch.Generator) -> dict[str, Tensor]:
        rows = Rows(n, rng, generator.device)
        steps = process.timesteps[rows.integers(len(process)).to(process.timesteps.device)]
        return {X: rows.normal(*shape), T: steps, **{port.name: _drawn(port, generator, rows) for port in ports}}

    with torch.no_grad():
        tried = example(1, torch.Generator())
        denoising = generator.denoising({port.name: tried[port.name] for port in ports})
        if denoising.gradient is not None:
            raise GenkitError(
                f"a {generator.config['type']} cannot be exported: it needs the gradient of its classifier at each "
                "step; export the generator that it guides"
            )
        outputs = tuple(denoising.output(tried[X], tried[T]).shape[1:])

    def function(given: Mapping[str, Tensor]) -> Tensor:
        return generator.denoising({port.name: given[port.name] for port in ports}).output(given[X], given[T])

    inputs = [
        Port(X, shape, "a noisy image sqrt(abar) x0 + sqrt(1 - abar) eps, of images x0 in [-1, 1]"),
        Port(T, (), f"timestep, a number of `timesteps` in process.json, 0 to {float(process.timesteps[-1]):g}"),
        *ports,
    ]
    about = PREDICTED[process.prediction] + VARIANCES.get(process.variance, "")
    return Graph(generator, inputs, Port("prediction", outputs, about), function, example, _NOTES, _tables(process))


_NOTES = (
    "A denoiser is one step of a chain: its caller draws x from N(0, I), goes from the last timestep to the first, and "
    "makes x less noisy by what is predicted (Ho et al. 2020, arXiv:2006.11239, Algorithm 2). `process.json` has "
    "`timesteps`, and `abar` of each",
)


def _tables(process: Process) -> dict[str, Any]:
    kind = {name: process.config[name] for name in ("prediction", "variance")}
    return {"process": {**kind, "timesteps": process.timesteps.tolist(), "abar": process.abar.tolist()}}


def _drawn(port: Port, generator: DiffusionGenerator, rows: Rows) -> Tensor:
    column = generator.conditions[port.name]
    return column.draw(rows) if column.drawable else 2 * rows.uniform(*port.shape) - 1

"""Every generator of the catalog is exported with the samples that it makes, or refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.core.generator import Generator, LatentGenerator
from genkit.core.graph import Graph
from genkit.foreign.exported_graph import TRACED, run_onnx, save_onnx, traced
from tests.contracts.specs import GENERATOR_SPECS, seeded

CHAINS = "not one pass through a network"
REFUSED = {
    "vaebm": CHAINS,
    "cascade": CHAINS,
    "ddim_latents": CHAINS,
    "rejection": CHAINS,
    "metropolis_hastings": CHAINS,
    "latent_langevin": CHAINS,
    "latent_transport": CHAINS,
    "classifier_guided": "gradient of its classifier",
    "upsampler-2": "gradient of its classifier",
    "vae-4": "one pixel after the other",
}
"""Kind, or one of its specs -> the reason that it is told with."""

SAME = {"ddpm-2": "ddpm-1", "ddpm-3": "ddpm-0"}
"""Specs that differ in their solver alone, which is not exported."""


def reason(name: str) -> str:
    return REFUSED.get(name) or REFUSED.get(name.rpartition("-")[0], "")


def rng(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(name: str) -> Generator:
    """With no layer at zero, whose inputs would not matter."""
    generator: Generator = seeded(GENERATOR_SPECS[name])
    for parameter in generator.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return generator


def own(generator: Generator, graph: Graph, given: dict[str, Tensor], n: int) -> Tensor:
    """What genkit makes of the same numbers: samples of the same seed, or the prediction of the denoiser."""
    condition = {name: given[name] for name in generator.conditions}
    if isinstance(generator, LatentGenerator):
        if generator.made:  # whose conditions are drawn before the latents, and not when they are given
            return graph(*given.values())
        return generator.sample(n, rng=rng(n))
    denoising = generator.denoising(condition)  # type: ignore[attr-defined]
    answer: Tensor = denoising.output(given["x"], given["t"])
    return answer


@pytest.mark.parametrize("name", [name for name in GENERATOR_SPECS if not reason(name) and name not in SAME])
def test_torch_and_onnx_give_the_generators_own_samples_at_any_batch_size(name: str, tmp_path: Path) -> None:
    generator = made(name)
    graph = generator.graph()
    program = traced(graph)
    save_onnx(graph, program, tmp_path / "model.onnx")
    for n in (1, 3, TRACED + 1):
        given = graph.example(n, rng(n))
        with torch.no_grad():
            want = own(generator, graph, given, n)
        assert want.shape == (n, *graph.output.shape) and want.std() > 1e-3
        for port in graph.inputs:
            assert given[port.name].shape == (n, *port.shape)
            assert given[port.name].dtype == (torch.int64 if port.whole else torch.float32)
        for got in (program.module()(*given.values()), run_onnx(tmp_path / "model.onnx", given)):
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_same_specs_have_the_same_denoiser() -> None:
    for one, other in SAME.items():
        first, second = ({k: v for k, v in GENERATOR_SPECS[name].items() if k != "solver"} for name in (one, other))
        assert first == second


@pytest.mark.parametrize("name", [name for name in GENERATOR_SPECS if reason(name)])
def test_what_cannot_be_exported_says_why(name: str) -> None:
    with pytest.raises(GenkitError, match=reason(name)) as refused:
        made(name).graph()
    assert str(refused.value).startswith("a ")

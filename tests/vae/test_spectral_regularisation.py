"""Regularisation of convolutions and batch norms of a VAE's network, and its state in training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit.core import catalog
from genkit.training.stream import Stream
from genkit.vae.hierarchical.nvae import NVAENetwork
from genkit.vae.spectral_regularisation import SpectralRegularisation
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining
from tests.contracts.specs import DIGITS, NVAE_N, seeded


def network(seed: int = 0) -> NVAENetwork:
    torch.manual_seed(seed)
    found = NVAENetwork(8, 1, 2, (1, 1), 2, cells=1, block_cells=1, flows=1)
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(-3, 1)
    return found


def test_it_is_the_singular_values_and_the_largest_scales() -> None:
    one = network()
    regularisation = SpectralRegularisation(0.5)
    regularisation.setup(one)
    for _ in range(100):
        regularisation.iterate(one)
    convolutions = [m.weight.flatten(1) for m in one.modules() if hasattr(m, "weight") and m.weight.dim() == 4]
    assert len(convolutions) > 30 and any(w.shape[1] == 25 for w in convolutions), "depthwise ones as well"
    norms = [m.weight.abs().max() for m in one.modules() if isinstance(m, nn.BatchNorm2d)]
    expected = sum(torch.linalg.svdvals(w)[0] for w in convolutions) + sum(norms)
    found = regularisation(one, 1.0)
    torch.testing.assert_close(found, 0.5 * expected, rtol=1e-3, atol=0)
    found.backward()
    for name, parameter in one.named_parameters():
        regularised = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert regularised == (".log_norm" in name or parameter.dim() == 4 or _scale_of_a_norm(one, name)), name


def _scale_of_a_norm(one: nn.Module, name: str) -> bool:
    place, _, tensor = name.rpartition(".")
    return tensor == "weight" and isinstance(one.get_submodule(place), nn.BatchNorm2d)


def test_its_weight_moves_geometrically_with_beta() -> None:
    assert SpectralRegularisation(0.1).at(0.3) == pytest.approx(0.1)
    annealed = SpectralRegularisation(0.01, start=10)
    assert [annealed.at(beta) for beta in (0, 1 / 3, 1)] == pytest.approx([10, 1, 0.01])


def training(**arguments) -> VAETraining:
    return VAETraining(VAE(seeded(NVAE_N)), warmup=2, regularisation=SpectralRegularisation(0.5, start=2), **arguments)


def test_training_descends_it_and_keeps_its_vectors() -> None:
    system, stream = training(), Stream(catalog.build(DIGITS), 4, seed=0)
    assert any("u_" in name for name, _ in system.named_buffers()), "saved with the system"
    for step in range(2):
        before = [b.clone() for b in system.regularisation.buffers()]
        stream.begin(step)
        update = next(iter(system.iteration(stream, step)))
        assert any(not b.equal(a) for a, b in zip(before, system.regularisation.buffers(), strict=True))
        vectors = [b.clone() for b in system.regularisation.buffers()]
        terms = update.loss(**update.on, **update.shared)
        assert all(b.equal(a) for a, b in zip(vectors, system.regularisation.buffers(), strict=True)), "loss is pure"
        expected = system.regularisation(system.generator.network, (step + 1) / 2)
        torch.testing.assert_close(terms["regularisation"], expected)


def test_batch_norms_of_an_averaged_copy_see_encoder_and_decoder() -> None:
    """Of images and of latents of their posteriors: none is left as it was made."""
    system, stream = training(), Stream(catalog.build(DIGITS), 16, seed=0)
    norms = [m for m in system.generator.modules() if isinstance(m, nn.BatchNorm2d)]
    stream.begin(0)
    system.exercise(system.generator.train(), stream)
    assert all(norm.num_batches_tracked == 1 for norm in norms)

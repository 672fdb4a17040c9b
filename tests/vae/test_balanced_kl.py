"""Weights of the levels' divergences during warm-up."""

from __future__ import annotations

import pytest
import torch

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.training.stream import Stream
from genkit.vae.balanced_kl import BalancedKL, divergences
from genkit.vae.bound import Inferred
from genkit.vae.latent_priors import StandardNormal, VampPrior
from genkit.vae.networks.gaussian import Gaussian
from genkit.vae.networks.vae_network import Level, Pixels
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining
from tests.contracts.specs import DIGITS, HVAE_N, NVAE_N, seeded

DIMS = (2, 8, 8)


def found(means: list[float], batch: int = 2) -> Inferred:
    """Three levels whose posteriors are unit Gaussians `means` away from their priors; the second row's three times."""
    rows = torch.tensor([1.0, 3.0])[:batch, None]
    levels, latents = [], []
    for i, (mean, dim) in enumerate(zip(means, DIMS, strict=True)):
        zero = torch.zeros(batch, dim)
        q = Gaussian(zero + mean * rows, zero)
        levels.append(Level(Gaussian(zero, zero) if i else None, q))
        latents.append(q.at(torch.ones_like(zero)))
    zeros = [torch.zeros(batch)] * 3
    return Inferred(latents, levels, zeros, zeros, Pixels(torch.zeros(batch, 1, 1, 1)))


def by_hand(means: list[float]) -> list[torch.Tensor]:
    return [dim * (mean * torch.tensor([1.0, 3.0])).square() / 2 for mean, dim in zip(means, DIMS, strict=True)]


def test_at_the_end_of_the_warm_up_it_is_the_sum() -> None:
    means = [0.5, 1.0, 0.1]
    torch.testing.assert_close(torch.stack(divergences(found(means))), torch.stack(by_hand(means)))
    torch.testing.assert_close(BalancedKL()(found(means), 1.0), sum(by_hand(means)))


def test_before_that_levels_count_by_their_size() -> None:
    """Two levels of 8 latents share one scale, of size 8 / 2; the top is alone in its own, of size 2."""
    means = [0.5, 1.0, 0.1]
    kl = by_hand(means)
    weight = torch.stack([(of.mean() + 0.01) / size for of, size in zip(kl, (2, 4, 4), strict=True)])
    weight = 3 * weight / weight.sum()
    expected = sum(w * of for w, of in zip(weight, kl, strict=True))
    torch.testing.assert_close(BalancedKL()(found(means), 0.99), expected)
    assert weight[1] > weight[0] > weight[2]


def test_the_weights_have_no_gradient() -> None:
    one = found([0.5, 1.0, 0.1])
    mean = one.levels[0].posterior.mean.requires_grad_()
    gradient = torch.autograd.grad(BalancedKL()(one, 0.5).sum(), mean)[0]
    kl = [of.detach() for of in divergences(one)]
    weight = torch.stack([(of.mean() + 0.01) / size for of, size in zip(kl, (2, 4, 4), strict=True)])
    torch.testing.assert_close(gradient, (3 * weight / weight.sum())[0] * mean.detach())


def training(network: dict, **arguments) -> VAETraining:
    return VAETraining(VAE(seeded(network)), warmup=2, divergence=BalancedKL(), **arguments)


@pytest.mark.parametrize("network", [HVAE_N, NVAE_N], ids=lambda s: s["type"])
def test_it_is_what_is_descended(network: dict) -> None:
    system, x = training(network), torch.rand(3, 1, 8, 8).round()
    system.eval()
    noise = [torch.randn(3, dim) for dim in system.generator.latent_dims]
    index = torch.arange(3)
    inferred = system.generator.infer(x, noise, lambda z: z.sum(1))
    for beta in (0.5, 1.0):
        terms = system.loss(x, noise, index, None, beta, None)
        torch.testing.assert_close(terms["divergence"], beta * BalancedKL()(inferred, beta).mean())


def test_samples_are_coupled_by_the_weights_alone() -> None:
    """The weights are of the whole batch; from beta = 1 on a batch may be split."""
    system, stream = training(HVAE_N), Stream(catalog.build(DIGITS), 4, seed=0)
    for step, coupled in enumerate((True, False, False)):
        stream.begin(step)
        assert next(iter(system.iteration(stream, step))).coupled == coupled


def test_a_prior_without_a_closed_form_is_refused() -> None:
    with pytest.raises(RecipeError, match="divergence: balanced_kl needs the prior standard_prior, got VampPrior"):
        VAETraining(VAE(seeded(HVAE_N), prior=VampPrior(2)), divergence=BalancedKL())
    assert isinstance(training(HVAE_N).generator.latent_prior, StandardNormal)

"""Mixtures of discretised logistics: the authors' recorded densities, what is drawn, and VAEs that learn by them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit.core.errors import RecipeError
from genkit.images.pixels import from_unit
from genkit.vae.hierarchical.nvae import NVAENetwork
from genkit.vae.networks.logistic_mixture import LogisticMixture, log_bin
from genkit.vae.networks.vae_network import Pixels
from genkit.vae.pixel_likelihoods import DiscretisedLogistic, GaussianPixels, MixedLogistics
from genkit.vae.vae import VAE
from tests.shared import shared

CLOSE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-4}


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(shared("fixtures", "vaebm", "decoders") / "io.safetensors")


def mixed(raw: Tensor, channels: int = 3) -> Pixels:
    components = raw.shape[1] // (1 + channels * (3 if channels == 3 else 2))
    return Pixels.of_mixture(LogisticMixture.of(raw, channels, components))


def test_a_mixture_of_ten_is_the_authors(recorded: dict[str, Tensor]) -> None:
    likelihood, pixels = MixedLogistics(), mixed(recorded["dmol/param"])
    expected = recorded["dmol/log_prob"]
    torch.testing.assert_close(likelihood.of_pixels(recorded["dmol/x"], pixels), expected, **CLOSE)
    torch.testing.assert_close(likelihood.log_prob(recorded["dmol/x"], pixels), expected.flatten(1).sum(1), **CLOSE)


def test_a_logistic_is_the_authors(recorded: dict[str, Tensor]) -> None:
    mean, log_scale = recorded["dlogistic/param"].chunk(2, 1)
    pixels = Pixels(mean / 2 + 0.5, log_scale - torch.tensor(2.0).log())
    found = DiscretisedLogistic().of_pixels(recorded["dlogistic/x"], pixels)
    torch.testing.assert_close(found, recorded["dlogistic/log_prob"], **CLOSE)


@pytest.mark.parametrize(("channels", "bits"), [(1, 3), (3, 1), (3, 2)])
def test_probabilities_of_all_colours_are_one_and_what_is_drawn_follows_them(channels: int, bits: int) -> None:
    rng = torch.Generator().manual_seed(channels + bits)
    raw = torch.randn(1, LogisticMixture.maps(channels, 4), 1, 1, generator=rng)
    likelihood, n = MixedLogistics(bits), 20_000
    levels = torch.arange(2**bits) / (2**bits - 1)
    colours = torch.tensor(list(itertools.product(levels.tolist(), repeat=channels)))[:, :, None, None]
    many = mixed(raw.expand(len(colours), -1, -1, -1), channels)
    p = likelihood.log_prob(colours, many).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    pixels = mixed(raw.expand(n, -1, -1, -1), channels)
    drawn = likelihood.draw(pixels, torch.rand(n, channels, 1, 1, generator=rng))
    seen = (drawn[:, None] - colours[None]).abs().flatten(2).amax(2).argmin(1).bincount(minlength=len(colours)) / n
    torch.testing.assert_close(seen, p, rtol=0, atol=0.015)


def test_the_mean_is_that_of_the_densities() -> None:
    """Of means within [-1, 1] and narrow scales, which no cut at the ends moves."""
    mean = torch.tensor([[0.4, -0.3], [0.1, 0.2], [-0.2, 0.0]])
    parts = torch.stack([mean, torch.full_like(mean, -6.0), torch.tensor([[0.3, -0.2], [0.5, 0.1], [-0.4, 0.2]])], 1)
    raw = torch.cat([torch.tensor([0.2, -0.1]), parts.flatten()])[None, :, None, None]
    pixels, n = mixed(raw.expand(20_000, -1, -1, -1)), 20_000
    drawn = MixedLogistics().draw(pixels, torch.rand(n, 3, 1, 1, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(drawn.mean(0), pixels.mean[0], rtol=0, atol=2e-3)


def test_bins_too_narrow_for_a_difference_have_a_finite_gradient() -> None:
    mean = torch.tensor([0.9], requires_grad=True)
    found = log_bin(torch.tensor([-0.5]), mean, torch.tensor([-7.0]), 256)
    found.sum().backward()
    assert found.isfinite() and mean.grad is not None and mean.grad.isfinite() and mean.grad < 0


@pytest.mark.parametrize("bits", [8, 5, 1])
def test_images_are_brought_to_the_levels(bits: int) -> None:
    likelihood = DiscretisedLogistic(bits)
    grey = torch.arange(256, dtype=torch.float32).view(1, 1, 16, 16) / 255
    values = likelihood.values(from_unit(grey))
    kept = (torch.arange(256) >> (8 - bits)).float() / (2**bits - 1)
    torch.testing.assert_close(values.flatten(), kept)


def test_networks_and_likelihoods_that_do_not_go_together() -> None:
    arguments: dict[str, Any] = {"size": 8, "width": 4, "groups": (1, 1), "latent_dim": 2, "cells": 1, "block_cells": 1}
    with pytest.raises(RecipeError, match="MixedLogistics needs a network with a mixture, such as mixture: 10, got"):
        VAE(NVAENetwork(**arguments), MixedLogistics())
    with pytest.raises(RecipeError, match="Bernoulli needs one with mixture: 0, got mixture: 3"):
        VAE(NVAENetwork(**arguments, mixture=3))
    with pytest.raises(RecipeError, match="needs a network with scaled: true"):
        VAE(NVAENetwork(**arguments, mixture=3), GaussianPixels())
    with pytest.raises(RecipeError, match="mixture: its components have scales of their own"):
        NVAENetwork(**arguments, mixture=3, scaled=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_vae_learns_by_it(channels: int) -> None:
    """Of plain images in 16 shades it needs fewer than the 8 bits of uniform levels, and samples are images."""
    torch.manual_seed(0)
    network = NVAENetwork(8, channels, 8, (1, 1), 4, 1, 1, 1, mixture=3)
    vae = VAE(network, MixedLogistics())
    x = torch.linspace(-1, 1, 16).view(16, 1, 1, 1).expand(16, channels, 8, 8)
    adam = torch.optim.Adam(vae.parameters(), 1e-2)
    found = []
    for _ in range(80):
        noise = [torch.randn(16, dim) for dim in vae.latent_dims]
        seen = vae.likelihood.observe(vae.likelihood.values(x), None)
        loss = -vae.bound(seen, noise, vae.latent_prior.mixture(network).log_density).log_weight.mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        found.append(loss.item())
    assert min(found[-5:]) < 0.9 * 64 * channels * math.log(256)
    assert vae.eval().sample(4).abs().max() <= 1

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file
from torch.distributions import Normal

from genkit.images.pixels import from_uint8, to_uint8
from genkit.vae.networks.gaussian import soft_clamp
from genkit.vae.networks.vae_network import Pixels
from genkit.vae.pixel_likelihoods import Bernoulli, GaussianPixels, Logistic256
from tests.shared import shared

LEVELS = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Logistic256(), GaussianPixels()])
def test_values_and_images_are_inverse_on_every_level(likelihood) -> None:
    values = likelihood.values(from_uint8(LEVELS))
    assert values.min() >= 0 and values.max() <= 1
    assert to_uint8(likelihood.images(values)).equal(LEVELS)


def test_levels_are_the_middles_of_their_bins() -> None:
    values = Logistic256().values(from_uint8(LEVELS)).flatten()
    torch.testing.assert_close(values, (torch.arange(256) + 0.5) / 256)
    assert (values * 256).floor().equal(torch.arange(256.0))


def test_binarisation_takes_the_grey_level_as_probability() -> None:
    values = torch.tensor([0.0, 0.3, 1.0]).view(1, 1, 1, 3).expand(20000, -1, -1, -1)
    observed = Bernoulli().observe(values, torch.rand(values.shape, generator=torch.Generator().manual_seed(0)))
    assert observed.unique().tolist() == [0, 1]
    torch.testing.assert_close(observed.mean(0).flatten(), torch.tensor([0.0, 0.3, 1.0]), rtol=0, atol=0.01)


def test_bernoulli_by_hand() -> None:
    pixels = Pixels(torch.tensor([0.2, 0.9, 0.0, 1.0]).view(1, 1, 2, 2))
    observed = torch.tensor([1.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
    want = math.log(0.2) + math.log(0.1) + math.log(1e-5) + math.log(1 - 1e-5)
    torch.testing.assert_close(Bernoulli().log_prob(observed, pixels), torch.tensor([want]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("given", ["logits", "mean"])
def test_bernoulli_has_the_value_and_slope_of_its_formula(given: str) -> None:
    raw = torch.tensor([-20.0, -11.0, -0.3, 2.0, 9.0, 20.0], dtype=torch.float32).view(1, 1, 2, 3).requires_grad_()
    observed = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 3)
    pixels = Pixels.of_logits(raw) if given == "logits" else Pixels(raw.sigmoid())
    found = Bernoulli().log_prob(observed, pixels)
    wide = raw.detach().double().requires_grad_()
    p = wide.sigmoid().clamp(1e-5, 1 - 1e-5)
    want = (observed * p.log() + (1 - observed) * (1 - p).log()).sum()
    torch.testing.assert_close(found.double().sum(), want, rtol=1e-4, atol=1e-4)
    slope, wanted = torch.autograd.grad(found.sum(), raw)[0], torch.autograd.grad(want, wide)[0]
    torch.testing.assert_close(slope.double(), wanted, rtol=1e-5 if given == "logits" else 2e-2, atol=1e-6)


def test_the_levels_probabilities_sum_to_one_inside_the_range() -> None:
    likelihood = Logistic256()
    every = likelihood.values(from_uint8(torch.arange(256, dtype=torch.uint8))).view(256, 1, 1, 1)
    pixels = Pixels(torch.full_like(every, 0.4), torch.full_like(every, -4.5))
    p = likelihood.log_prob(every, pixels).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-3)
    assert p.argmax() == 102  # 0.4 * 256 = 102.4


@pytest.mark.parametrize("likelihood", [Bernoulli(), Logistic256()])
def test_draws_follow_the_probabilities(likelihood) -> None:
    pixels = Pixels(torch.full((1, 1, 1, 1), 0.4), torch.full((1, 1, 1, 1), -4.0))
    uniform = torch.rand(40000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    drawn = likelihood.draw(pixels, uniform)
    for value in drawn.unique()[::20]:
        share = (drawn == value).float().mean().item()
        p = likelihood.log_prob(value.view(1, 1, 1, 1), pixels).exp().item()
        assert share == pytest.approx(p, abs=0.01)
    assert drawn.mean().item() == pytest.approx(0.4, abs=0.01)


def gaussian(mean: float, log_scale: float, n: int = 1) -> Pixels:
    return Pixels(torch.full((n, 1, 1, 1), mean), torch.full((n, 1, 1, 1), log_scale))


def test_gaussian_pixels_are_those_of_the_authors() -> None:
    """Their density is of pixels in [-1, 1], ours of levels: it differs by the logarithm of a level's width."""
    io = load_file(shared("fixtures", "vaebm", "decoders") / "io.safetensors")
    raw, log_width = map(soft_clamp, io["normal/param"].chunk(2, 1))
    likelihood, pixels = GaussianPixels(), Pixels(raw / 2 + 0.5, log_width - math.log(2))
    torch.testing.assert_close(likelihood.at(pixels, io["normal/eps"]), io["normal/x"], rtol=0, atol=1e-6)
    found = likelihood.log_prob(io["normal/x"], pixels)
    expected = (io["normal/log_prob"] - math.log(255 / 2)).flatten(1).sum(1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-3)


def test_gradients_of_gaussian_pixels_are_those_of_the_authors() -> None:
    io = load_file(shared("fixtures", "vaebm", "decoders") / "io.safetensors")
    given, eps = (io[f"normal/{name}"].clone().requires_grad_() for name in ("param", "eps"))
    raw, log_width = map(soft_clamp, given.chunk(2, 1))
    likelihood, pixels = GaussianPixels(), Pixels(raw / 2 + 0.5, log_width - math.log(2))
    x = likelihood.at(pixels, eps)
    weights = torch.linspace(-1, 1, x.numel()).view_as(x)
    for what, of in (("dx_w", (x * weights).sum()), ("dlogp", likelihood.log_prob(x, pixels).sum())):
        for name, found in zip(
            ("dparam", "deps"), torch.autograd.grad(of, (given, eps), retain_graph=True), strict=True
        ):
            torch.testing.assert_close(found, io[f"normal/{what}_{name}"], rtol=1e-4, atol=1e-4)


def test_a_dequantised_level_is_a_lower_bound_on_the_levels_probability() -> None:
    """In the mean, and a close one where the density is wide beside a level."""
    likelihood, pixels = GaussianPixels(floor=-9), gaussian(0.5, -5.0, 100_000)
    level = likelihood.values(from_uint8(torch.tensor([130], dtype=torch.uint8))).expand(100_000, 1, 1, 1)
    uniform = (torch.arange(100_000) + 0.5).div(100_000).view_as(level)
    found = likelihood.log_prob(likelihood.observe(level, uniform), pixels).double().mean()
    edges = Normal(0.5, math.exp(-5) + 0.005).cdf(torch.tensor([129.5, 130.5]).double() / 255)
    assert found < (want := (edges[1] - edges[0]).log()) and want - found < 0.05


def test_the_floor_is_under_the_density_alone() -> None:
    likelihood, noise = GaussianPixels(), torch.ones(1, 1, 1, 1)
    for log_scale in (-3.0, -9.0):
        width = math.exp(max(log_scale, -2 - math.log(2))) + 0.005
        want = Normal(0.4, width).log_prob(torch.tensor([0.45])) - math.log(255)
        pixels = gaussian(0.4, log_scale)
        torch.testing.assert_close(likelihood.log_prob(torch.full((1, 1, 1, 1), 0.45), pixels), want)
        assert likelihood.at(pixels, noise).item() == pytest.approx(0.4 + math.exp(log_scale) + 0.005)
    assert likelihood.at(gaussian(0.9, 0.0), noise).item() == 1, "cut, not stretched"


def test_gaussian_draws_are_normal() -> None:
    likelihood, n = GaussianPixels(), 4000
    uniform = ((torch.arange(n) + 0.5) / n).view(n, 1, 1, 1)
    drawn = likelihood.draw(gaussian(0.5, -3.0, n), uniform)
    assert drawn.mean().item() == pytest.approx(0.5, abs=1e-4)
    assert drawn.std().item() == pytest.approx(math.exp(-3) + 0.005, rel=0.01)

from __future__ import annotations

import math

import pytest
import torch

from genkit.images.pixels import from_uint8, to_uint8
from genkit.vae.networks.vae_network import Pixels
from genkit.vae.pixel_likelihoods import Bernoulli, Logistic256

LEVELS = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Logistic256()])
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

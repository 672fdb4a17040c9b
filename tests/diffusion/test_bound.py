"""The bound on Gaussian data, whose true likelihood is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genkit.diffusion.losses import bound_terms, prior_term, variational_bound
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Denoising
from tests.diffusion.gaussian import Counted, Draws, Gaussian

DATA = Gaussian(0.1, 0.3)
VALUES = [-90, 13, 70]
"""Of 8 bits, from the middle."""


def images(copies: int, channels: int = 1) -> Tensor:
    """(copies * 3, channels), each of three grey values many times over."""
    grey = torch.tensor([(value + 127) / 127.5 - 1 for value in VALUES]).repeat_interleave(copies)
    return grey[:, None].repeat(1, channels)


def drawn(n: int) -> Tensor:
    """(n, 1) of the data, rounded to 8 bits."""
    rng = torch.Generator().manual_seed(1)
    return (((DATA.mean + DATA.std * torch.randn(n, 1, generator=rng)) * 127.5).round() / 127.5).float()


def rows(x: Tensor) -> Draws:
    return Draws(len(x))


def true_bits(x: Tensor, data: Gaussian = DATA) -> Tensor:
    """-log2 of the mass of N(mean, std^2) on a bin of width 2 / 255."""
    log_p = -0.5 * ((x.double() - data.mean) / data.std) ** 2 - math.log(data.std * math.sqrt(2 * math.pi))
    return -(log_p + math.log(2 / 255)) / math.log(2)


def test_an_ideal_network_reaches_the_likelihood() -> None:
    """With the true variance the chain is the data's own, and what the bound loses over the likelihood is nothing."""
    x, process = images(6000), Process(40, variance="learned")
    terms = bound_terms(DATA.denoising(process), x, rows(x))
    assert terms["bound"].shape == (len(x), 40) and terms["prior"].shape == (len(x),)
    bits = (terms["bound"].sum(1) + terms["prior"]).view(3, -1)
    error = bits.std(1) / 6000**0.5
    want = true_bits(x).view(3, -1)[:, 0]
    assert ((bits.mean(1) - want).abs() < 0.02 + 4 * error).all(), (bits.mean(1), want, error)
    assert error.max() < 0.03


@pytest.mark.parametrize("wrong", [Gaussian(0.4, 0.3), Gaussian(0.1, 0.6), Gaussian(0.1, 0.15)])
def test_a_wrong_idea_of_the_data_costs_bits(wrong: Gaussian) -> None:
    """As many as the likelihood says, in the mean over the data."""
    x, process = drawn(5000), Process(40, variance="learned")
    right, mistaken = (variational_bound(g.denoising(process), x, rows(x)).nats.mean() for g in (DATA, wrong))
    want = (true_bits(x, wrong) - true_bits(x)).mean() * math.log(2)
    assert (right - mistaken).item() == pytest.approx(want.item(), rel=0.1)


def test_the_true_variance_is_better_than_the_fixed_ones() -> None:
    x = drawn(5000)
    nats = {
        variance: variational_bound(DATA.denoising(Process(40, variance=variance)), x, rows(x)).nats.mean().item()
        for variance in ("learned", "fixed_small", "fixed_large")
    }
    assert nats["learned"] > max(nats["fixed_small"], nats["fixed_large"]) + 0.01


def test_prior() -> None:
    """KL(N(a x, 1 - a^2) || N(0, 1)) = (a^2 x^2 - a^2 - log(1 - a^2)) / 2."""
    process, x = Process(5, [0.3, 0.4, 0.5, 0.6, 0.7]), torch.tensor([[1.0, -1.0], [0.5, 0.0]])
    abar = 0.7 * 0.6 * 0.5 * 0.4 * 0.3
    want = (abar * x**2 - abar - math.log(1 - abar)).mean(1) / 2 / math.log(2)
    torch.testing.assert_close(prior_term(process, x), want, rtol=1e-4, atol=1e-6)


def test_parts_sum_to_the_whole_in_nats_an_image() -> None:
    x, process = images(2, channels=6).view(6, 6), Process(30, variance="learned")
    found, terms = (f(DATA.denoising(process), x, rows(x)) for f in (variational_bound, bound_terms))
    parts = found.parts
    torch.testing.assert_close(parts["reconstruction"] + parts["steps"] + parts["prior"], found.nats)
    torch.testing.assert_close(parts["reconstruction"], -terms["bound"][:, -1].double() * 6 * math.log(2))
    assert found.nats.dtype == torch.float64 and found.bound == "variational lower bound, 30 steps"
    dimension = variational_bound(DATA.denoising(process), x[:, :1], rows(x)).nats
    torch.testing.assert_close(found.nats, 6 * dimension, rtol=0.5, atol=0)


def test_every_step_is_evaluated_once_from_the_noisiest_and_told_as_in_training() -> None:
    process, seen = Process(100, prediction="x0", variance="fixed_large", kept="4"), []
    network = Counted(lambda x_t, timestep: torch.full_like(x_t, 3.0))
    terms = bound_terms(Denoising(process, network), images(1), rows(images(1)), lambda *done: seen.append(done))
    assert network.timesteps == [99, 66, 33, 0] and seen == [(k, 4) for k in (1, 2, 3, 4)]
    torch.testing.assert_close(terms["x0_mse"], ((images(1) - 1) ** 2).expand(3, 4)), "the image is clipped"


def test_errors_of_the_prediction_are_told() -> None:
    process, x = Process(100, variance="fixed_large", kept="4"), images(1)
    terms = bound_terms(Denoising(process, lambda x_t, timestep: torch.zeros_like(x_t), clip=False), x, rows(x))
    noise = rows(x)
    want = torch.stack([noise.normal(1).square().squeeze(1) for _ in range(4)], 1)
    torch.testing.assert_close(terms["eps_mse"], want, rtol=1e-3, atol=1e-4)

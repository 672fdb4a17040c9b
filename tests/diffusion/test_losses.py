from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.diffusion.losses import (
    BoundLoss,
    DiffusionLoss,
    Hybrid,
    Simple,
    bound_term,
    discretised_log_likelihood,
    gaussian_kl,
)
from genkit.diffusion.process import Process


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def batch(channels: int = 2) -> dict[str, Tensor]:
    """An output of twice the channels, images of 8 bits, noise, and steps that include both ends."""
    x0 = torch.randint(256, (4, channels, 3, 3)) / 127.5 - 1
    output = torch.randn(4, 2 * channels, 3, 3)
    return {"output": output, "x0": x0, "noise": torch.randn_like(x0), "i": torch.tensor([0, 1, 50, 98])}


@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
def test_simple_is_the_mean_square_of_what_is_predicted(kind: str) -> None:
    p, on = Process(100, prediction=kind, variance="fixed_large"), batch()
    on["output"] = on["output"][:, :2]
    a, b = (p.look_up(k, on["i"], on["x0"]) for k in ("signal", "noise"))
    target = {"eps": on["noise"], "x0": on["x0"], "v": a * on["noise"] - b * on["x0"]}[kind]
    want = ((on["output"] - target) ** 2).flatten(1).mean(1)
    torch.testing.assert_close(Simple()(p, **on), {"mse": want})


def test_gaussian_kl() -> None:
    a, b = (Normal(torch.randn(5, 4), torch.rand(5, 4) + 0.2) for _ in range(2))
    got = gaussian_kl(a.mean, 2 * a.scale.log(), b.mean, 2 * b.scale.log())
    torch.testing.assert_close(got, kl_divergence(a, b))
    assert not torch.allclose(got, kl_divergence(b, a))


@pytest.mark.parametrize("scale", [0.003, 0.05, 0.4])
@pytest.mark.parametrize("mean", [-1.1, -0.31, 0.0, 0.77])
def test_the_mass_of_all_256_values_is_one_and_each_is_that_of_its_bin(mean: float, scale: float) -> None:
    x = torch.arange(256) / 127.5 - 1
    at, log_scale = torch.full_like(x, mean), torch.full_like(x, math.log(scale))
    got = discretised_log_likelihood(x, at, log_scale).exp()
    assert got.sum().item() == pytest.approx(1, abs=1e-5)
    normal = Normal(mean, scale)
    upper, lower = normal.cdf(x + 1 / 255), normal.cdf(x - 1 / 255)
    upper[-1], lower[0] = 1, 0
    torch.testing.assert_close(got, upper - lower, rtol=0, atol=5e-4)


def test_bound_term_is_the_divergence_from_the_posterior_and_at_first_the_likelihood() -> None:
    p, on = Process(100, variance="learned"), batch()
    x_t = p.noised(on["x0"], on["i"], on["noise"])
    said = p.predict(on["output"], x_t, on["i"], clip=False)
    got = bound_term(p, on["output"], on["x0"], x_t, on["i"], clip=False)
    model = Normal(said.mean, said.variance.sqrt())
    variance = p.look_up("small", on["i"], x_t).clamp(min=1e-20).expand_as(x_t)
    want = kl_divergence(Normal(p.posterior_mean(on["x0"], x_t, on["i"]), variance.sqrt()), model).flatten(1).mean(1)
    want[0] = -discretised_log_likelihood(on["x0"], model.mean, model.scale.log())[0].mean()
    torch.testing.assert_close(got, want / math.log(2), rtol=1e-4, atol=1e-4)


def test_the_true_posterior_costs_nothing() -> None:
    p, on = Process(100, prediction="x0", variance="learned_range"), batch()
    x_t = p.noised(on["x0"], on["i"], on["noise"])
    right = torch.cat([on["x0"], -torch.ones_like(on["x0"])], 1)
    got = bound_term(p, right, on["x0"], x_t, on["i"], clip=False)
    torch.testing.assert_close(got[1:], torch.zeros(3), rtol=0, atol=1e-6)
    for wrong in (torch.cat([on["x0"] + 0.1, -torch.ones_like(on["x0"])], 1), torch.cat([on["x0"], on["x0"]], 1)):
        assert (bound_term(p, wrong, on["x0"], x_t, on["i"], clip=False)[1:3] > 1e-4).all()


@pytest.mark.parametrize(
    ("weight", "steps", "kept", "want"),
    [
        (1.0, 100, "", 1.0),
        (0.25, 100, "", 0.25),
        ("guided_diffusion", 100, "", 1.0),
        ("improved_diffusion", 100, "", 0.1),
        ("improved_diffusion", 4000, "100", 0.1),
    ],
)
def test_the_hybrid_weighs_the_bound_and_keeps_it_from_the_prediction(
    weight: Any, steps: int, kept: str, want: float
) -> None:
    p, on = Process(steps, kept=kept), batch()
    output = on["output"].requires_grad_()
    terms = Hybrid(weight)(p, **on)
    x_t = p.noised(on["x0"], on["i"], on["noise"])
    bound = bound_term(p, output, on["x0"], x_t, on["i"], clip=False)
    torch.testing.assert_close(terms, {**Simple()(p, **on), "bound": want * bound})
    (gradient,) = torch.autograd.grad(terms["bound"].sum(), output)
    assert not gradient[:, :2].any() and gradient[:, 2:].any()
    (simple,) = torch.autograd.grad(terms["mse"].sum(), output)
    assert simple[:, :2].any() and not simple[:, 2:].any()


def test_the_two_conventions_agree_at_a_thousand_steps() -> None:
    assert Hybrid("improved_diffusion").weight_at(1000) == Hybrid("guided_diffusion").weight_at(1000) == 1


def test_the_bound_is_an_estimate_of_the_sum_over_all_steps_and_trains_both_halves() -> None:
    p, on = Process(100), batch()
    output = on["output"].requires_grad_()
    x_t = p.noised(on["x0"], on["i"], on["noise"])
    terms = BoundLoss()(p, **on)
    torch.testing.assert_close(
        terms, {"bound": 100 * bound_term(p, output, on["x0"], x_t, on["i"], clip=False)}, rtol=1e-5, atol=1e-5
    )
    (gradient,) = torch.autograd.grad(terms["bound"].sum(), output)
    assert gradient[:, :2].any() and gradient[:, 2:].any()


@pytest.mark.parametrize(
    ("loss", "variance", "message"),
    [
        (Simple(), "learned_range", "the simple loss does not train the learned_range variance; take {type: hybrid}"),
        (Simple(), "learned", "the simple loss does not train the learned variance"),
        (Hybrid(), "fixed_small", "the hybrid loss trains the variance, but it is fixed_small; take {type: simple}"),
    ],
)
def test_losses_refuse_processes_that_they_do_not_train(loss: DiffusionLoss, variance: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refusal:
        loss.check(Process(100, variance=variance))
    assert "\n" not in str(refusal.value)
    BoundLoss().check(Process(100, variance=variance))


@pytest.mark.parametrize("weight", [0, -1.0, "ddpm", True])
def test_bad_weights_are_refused(weight: Any) -> None:
    with pytest.raises(RecipeError, match="weight"):
        catalog.build({"type": "hybrid", "weight": weight})
    assert catalog.build({"type": "hybrid", "weight": "1e-3"}).weight == 0.001

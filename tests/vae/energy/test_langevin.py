"""Langevin dynamics against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.errors import GenkitError, RecipeError
from genkit.core.randomness import Noise, Rows
from genkit.vae.energy.decoder import Drawn, log_normal
from genkit.vae.energy.langevin import Joint, Langevin, Runaway, fresh, packed

A = 3.0
"""E(x) = A / 2 |x|^2."""


class Plain:
    """x = latent + 2 noise, a latent of one number an image of one pixel; p(z) has the standard deviation 1/2."""

    sample_shape = (1, 1, 1)

    def latents(self, randomness):
        return {"z": randomness.normal(1)}

    def draw(self, latents, noise) -> Drawn:
        mean = latents["z"].view(-1, 1, 1, 1)
        log_prior, log_likelihood = log_normal(2 * latents["z"]), log_normal((noise * 2) / 2)
        return Drawn(mean + 2 * noise, mean, log_normal(latents["z"]), log_prior, log_likelihood)


def bowl(x: Tensor) -> Tensor:
    return A / 2 * x.square().flatten(1).sum(1)


def start(n: int, seed: int = 0):
    return fresh(Plain(), Noise(n, torch.Generator().manual_seed(seed)))


def test_potential_and_gradient_of_both_targets():
    """By hand, of z = 0.5 and noise = 1: x = 2.5."""
    at = ({"z": torch.tensor([[0.5]])}, torch.ones(1, 1, 1, 1))
    exact = Joint(bowl, Plain(), "exact", at).point(packed(at))
    constant = math.log(2 * math.pi)
    assert exact.energy.item() == pytest.approx(A / 2 * 6.25)
    assert exact.potential.item() == pytest.approx(A / 2 * 6.25 + (0.25 + 1) / 2 + constant)
    torch.testing.assert_close(exact.gradient, torch.tensor([[A * 2.5 + 0.5, A * 2.5 * 2 + 1]]))
    published = Joint(bowl, Plain(), "published", at).point(packed(at))
    assert published.potential.item() == pytest.approx(A / 2 * 6.25 + (1 + 1) / 2 + constant)
    torch.testing.assert_close(published.gradient, torch.tensor([[A * 2.5 + 4 * 0.5, A * 2.5 * 2 + 1]]))


def test_one_step_by_hand():
    chain, at = Langevin(1, 0.04), start(3)
    point = Joint(bowl, Plain(), "exact", at).point(packed(at))
    moved = chain.proposal(point, torch.ones(3, 2))
    torch.testing.assert_close(moved, packed(at) - 0.02 * point.gradient + 0.2)


def test_a_chain_is_its_steps_one_after_the_other():
    chain, at = Langevin(3, 0.04), start(4)
    found = chain.refine(bowl, Plain(), at, Noise(4, torch.Generator().manual_seed(2)))
    joint, noise, flat = Joint(bowl, Plain(), "exact", at), Noise(4, torch.Generator().manual_seed(2)), packed(at)
    for _ in range(3):
        flat = chain.proposal(joint.point(flat), noise.normal(2))
    assert packed((found.latents, found.noise)).equal(flat)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0.1), r"steps: .*, got 0"),
        ((-1, 0.1), r"steps: .*, got -1"),
        ((2, 0.0), r"step_size: .*, got 0\.0"),
        ((2, -1.0), r"step_size: .*, got -1\.0"),
        ((2, math.nan), r"step_size: .*, got nan"),
        ((2, 0.1, "publishd"), r"target: .*'exact' or 'published', got 'publishd'"),
    ],
)
def test_settings_out_of_range_are_refused_from_python_too(arguments, message):
    with pytest.raises(RecipeError, match=rf"^langevin\.{message}$"):
        Langevin(*arguments)


def precision() -> Tensor:
    """Of (z, noise) under exp(-U*): the identity and A (1, 2) (1, 2)'."""
    return torch.eye(2) + A * torch.tensor([[1.0, 2.0], [2.0, 4.0]])


@pytest.mark.parametrize("metropolis", [False, True])
def test_the_limit(metropolis):
    """The Metropolis correction samples the exact target; without it the limit of a Gaussian's chains is known too:
    the covariance (P - s P^2 / 4)^-1, far from P^-1 at this step size.
    """
    step = 0.12
    chain = Langevin(150, step, metropolis=metropolis)
    rng = torch.Generator().manual_seed(0)
    found = chain.refine(bowl, Plain(), start(40_000), Noise(40_000, rng))
    p = precision()
    expected = torch.linalg.inv(p if metropolis else p - step / 4 * p @ p)
    covariance = torch.cov(packed((found.latents, found.noise)).T)
    torch.testing.assert_close(covariance, expected, rtol=0.04, atol=0.012)
    assert (torch.linalg.inv(p) - torch.linalg.inv(p - step / 4 * p @ p)).abs().max() > 0.03
    if metropolis:
        assert 0.5 < found.accepted.mean() < 0.97
    else:
        assert found.accepted is None


def test_the_metropolis_ratio_is_that_of_the_two_proposals():
    chain, at = Langevin(1, 0.3, metropolis=True), start(50)
    joint = Joint(bowl, Plain(), "exact", at)
    old, noise = joint.point(packed(at)), torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    new = joint.point(chain.proposal(old, noise))

    def log_q(to: Tensor, of) -> Tensor:
        return -(to - of.at + chain.step_size / 2 * of.gradient).square().sum(1) / (2 * chain.step_size)

    ratio = (old.potential - new.potential + log_q(old.at, new) - log_q(new.at, old)).exp()
    inside = (ratio > 0.05) & (ratio < 0.95)
    assert inside.sum() > 5
    for factor, expected in ((0.99, True), (1.01, False)):
        kept, taken = chain.corrected_step(joint, old, noise, ratio * factor)
        assert (taken[inside] == expected).all()
    for field, (a, b) in zip(kept._fields, zip(old, new, strict=True), strict=True):
        where = taken if a.dim() == 1 else taken[:, None]
        assert getattr(kept, field).equal(torch.where(where, b, a)), field


@pytest.mark.parametrize("metropolis", [False, True])
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_row_i_depends_on_row_i_alone(metropolis, guard):
    chain = Langevin(4, 0.1, metropolis=metropolis)

    def chains(n: int):
        rows = Rows(n, torch.Generator().manual_seed(3))
        with guard():
            return chain.refine(bowl, Plain(), fresh(Plain(), rows), rows)

    whole, part = chains(5), chains(2)
    for name in ("x", "mean", "noise", "energy", "energy_before", "moved_latents", "moved_noise", "accepted"):
        a, b = getattr(whole, name), getattr(part, name)
        assert a is b is None or (a[:2].equal(b) and not a.requires_grad), name
    assert whole.latents["z"][:2].equal(part.latents["z"])
    assert len(set(whole.x.flatten().tolist())) == 5


def test_what_is_observed():
    at, chain = start(6), Langevin(3, 0.05)
    found = chain.refine(bowl, Plain(), at, Noise(6, torch.Generator().manual_seed(1)))
    assert found.x.equal(Plain().draw(found.latents, found.noise).x)
    assert found.energy.equal(bowl(found.x)) and found.energy_before.equal(bowl(Plain().draw(*at).x))
    told = found.watched()
    assert told["energy_drop"].equal(found.energy_before - found.energy)
    torch.testing.assert_close(found.moved_latents, (found.latents["z"] - at[0]["z"]).abs().squeeze(1))
    torch.testing.assert_close(found.moved_noise, (found.noise - at[1]).abs().flatten())
    assert told["moved_noise"].equal(found.moved_noise) and "accepted" not in told
    corrected = Langevin(8, 0.3, metropolis=True).refine(bowl, Plain(), at, Noise(6))
    assert corrected.watched()["accepted"].equal(corrected.accepted)
    assert {round(share * 8, 4) % 1 for share in corrected.accepted.tolist()} == {0.0}


def test_no_gradient_reaches_the_networks():
    weight = torch.tensor(A, requires_grad=True)
    Langevin(2, 0.1).refine(lambda x: weight * bowl(x), Plain(), start(2), Noise(2))
    assert weight.grad is None


def test_a_chain_that_runs_away_is_told():
    def cliff(x: Tensor) -> Tensor:
        return -x.flatten(1).sum(1).pow(4) * torch.tensor([0.0, 1e30])

    with pytest.raises(
        Runaway, match=r"the energy of sample 1 is (-inf|nan) after 3 Langevin steps of size 0\.1: .*step_size"
    ):
        Langevin(3, 0.1).refine(cliff, Plain(), start(2), Noise(2))


@pytest.mark.parametrize(
    ("energy", "message"),
    [
        (lambda x: bowl(x)[:, None], "one value a sample"),
        (lambda x: torch.zeros(len(x)), None),
        (lambda x: bowl(x.detach()), None),
    ],
)
def test_energies_of_another_form(energy, message):
    """One that does not depend on x leaves the prior's part of U: the chain is then one of the prior."""
    if message:
        with pytest.raises(GenkitError, match=message):
            Langevin(1, 0.1).refine(energy, Plain(), start(2), Noise(2))
    else:
        at = start(2)
        torch.testing.assert_close(Joint(energy, Plain(), "exact", at).point(packed(at)).gradient, packed(at))


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"steps": 0, "step_size": 0.1}, "steps"),
        ({"steps": 1, "step_size": 0.0}, "step_size"),
        ({"steps": 1, "step_size": math.inf}, "step_size"),
        ({"steps": 1, "step_size": 0.1, "target": "mixed"}, "target"),
        ({"steps": 1, "step_size": 0.1, "burn_in": 3}, "burn_in"),
    ],
)
def test_settings_that_make_no_chain_are_refused_by_name(arguments, key):
    with pytest.raises(RecipeError, match=key):
        catalog.build({"type": "langevin", **arguments})

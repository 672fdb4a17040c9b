"""Losses of the robust-OT authors' domain adaptation, with all gradients."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit.classifiers.domain_adaptation import distance_loss, entropy, weight_cost, weighted_entropy
from genkit.core.chi_square import ball_penalty, normalised
from genkit.gan.objectives import Hinge, NonSaturating, Objective, Wasserstein
from tests.shared import shared

OBJECTIVES: dict[str, Objective] = {"wasserstein": Wasserstein(), "hinge": Hinge(), "ns": NonSaturating()}
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(scope="module")
def losses() -> dict[str, Tensor]:
    return load_file(shared("fixtures/robust_ot/losses/io.safetensors"))


@pytest.fixture(scope="module")
def settings() -> dict:
    return json.loads((shared("fixtures/robust_ot/losses/config.json")).read_text())


def leaf(losses: dict[str, Tensor], name: str) -> Tensor:
    value = losses[name]
    return (value.squeeze(1) if value.shape[1] == 1 else value).clone().requires_grad_(True)


def same(got: Tensor | None, want: Tensor) -> None:
    assert got is not None
    torch.testing.assert_close(got.detach().reshape(want.shape), want, **CLOSE)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_distance_between_domains(losses: dict[str, Tensor], name: str) -> None:
    source, target = leaf(losses, "score_real"), leaf(losses, "score_fake")
    loss = distance_loss(OBJECTIVES[name], source, target, losses["weights"].squeeze(1))
    loss.backward()
    same(loss, losses[f"da.{name}.loss"])
    same(source.grad, losses[f"da.{name}.d_source"])
    same(target.grad, losses[f"da.{name}.d_target"])


def test_weighted_entropy_of_the_target(losses: dict[str, Tensor]) -> None:
    logits = leaf(losses, "da.entropy.logits")
    loss = weighted_entropy(logits, losses["weights"].squeeze(1))
    loss.backward()
    same(loss, losses["da.entropy.loss"])
    same(logits.grad, losses["da.entropy.d_logits"])


def test_entropy_is_that_of_the_distribution() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1e4, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(entropy(logits), torch.tensor([4.0, 1.0]).log())


def test_what_the_weight_network_descends(losses: dict[str, Tensor], settings: dict) -> None:
    """Its loss holds the source's half of the distance too, which is a constant to it."""
    raw, objective = leaf(losses, "raw_weights"), NonSaturating()
    weights = normalised(raw)
    target, logits = losses["score_fake"].squeeze(1), losses["da.entropy.logits"]
    cost = weight_cost(objective, target, logits, settings["da_entropy_weight"])
    loss = (weights * cost).mean() + ball_penalty(weights, settings["da_rho"], settings["penalty_factor"])
    loss.backward()
    constant = objective.critic_real(losses["score_real"]).mean()
    same(loss - constant, losses["da.weight_loss"])
    same(raw.grad, losses["da.weight_loss.d_raw"])

from __future__ import annotations

import json
import math
from typing import Annotated

import pytest
import torch
from pydantic import Field
from torch import Tensor

from genkit.core.errors import EvaluationError, RecipeError
from genkit.core.generator import Generator, Likelihood
from genkit.data.dataset import DataSet
from genkit.evaluation.likelihood import binarised, log_likelihood
from genkit.vae.networks.gated_vae import GatedVAENetwork
from genkit.vae.vae import VAE


def data(n: int = 9) -> DataSet:
    x = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return DataSet("some", x, torch.arange(n) % 3)


def vae(seed: int = 0) -> VAE:
    torch.manual_seed(seed)
    return VAE(GatedVAENetwork(4, 1, 2, 6)).eval()


class Uniform(Generator):
    """Every 8-bit image is as probable as another."""

    sample_shape = (1, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def _sample(self, condition, rows):
        raise NotImplementedError

    def log_likelihood(self, x, *, condition=None, rng=None, steps: Annotated[int, Field(ge=1)] = 3) -> Likelihood:
        self.seen.append(x)
        noise = torch.rand(len(x), generator=rng).double() - 0.5
        return Likelihood(torch.full((len(x),), -16 * math.log(256)).double(), f"{steps}", {"noise": noise})


def test_values_are_means_over_rows_with_their_standard_errors() -> None:
    model = vae()
    found = log_likelihood(model, data(), 6, samples=4)
    x = binarised(data().rows(found.rows), found.rows)
    want = model.log_likelihood(x, rng=torch.Generator().manual_seed(0), samples=4)
    torch.testing.assert_close(found.nats, want.nats)
    told = found.to_json()
    assert told["values"]["nats"] == pytest.approx(want.nats.mean().item())
    assert told["standard_errors"]["nats"] == pytest.approx(want.nats.std().item() / math.sqrt(6))
    assert told["values"]["bits_per_dim"] == pytest.approx(-want.nats.mean().item() / 16 / math.log(2))
    assert told["values"]["elbo"] == pytest.approx(want.parts["elbo"].mean().item())
    assert told["bound"] == want.bound and told["settings"] == {"samples": 4} and told["binarised"]
    assert told["spread"]["effective_sample_size"]["min"] >= 1
    assert json.loads(json.dumps(told))["nats_of_each"] == found.nats.tolist()


def test_batches_and_n_change_nothing_else() -> None:
    whole = log_likelihood(vae(), data(), 9, samples=3, seed=5)
    told: list[tuple[int, int]] = []
    parts = log_likelihood(vae(), data(), 7, samples=3, seed=5, batch_size=2, progress=lambda *at: told.append(at))
    torch.testing.assert_close(parts.nats, whole.nats[:7])
    assert parts.rows.equal(whole.rows[:7]) and told == [(2, 7), (4, 7), (6, 7), (7, 7)]
    assert not log_likelihood(vae(), data(), 9, samples=3, seed=6).rows.equal(whole.rows)


def test_images_are_binarised_once_whatever_the_seed() -> None:
    grey = torch.full((2, 1, 30, 30), 0.5)
    got = binarised(grey, torch.tensor([3, 4]))
    assert got.unique().tolist() == [-1, 1] and got.mean().item() == pytest.approx(0.5, abs=0.06)
    assert got[0].equal(binarised(grey[:1], torch.tensor([3]))[0]) and not got[0].equal(got[1])
    black_and_white = torch.where(torch.rand(2, 1, 4, 4) < 0.5, 1.0, -1.0)
    assert binarised(black_and_white, torch.tensor([0, 1])).equal(black_and_white)


def test_grey_models_see_grey_images_and_may_have_settings_of_their_own() -> None:
    model = Uniform()
    found = log_likelihood(model, data(), 20, steps="7")
    assert found.bits_per_dim.tolist() == pytest.approx([8] * 9) and found.bound == "7" and not found.binarised
    assert len(torch.cat(model.seen).unique()) > 50
    assert "9 samples instead of 20" in found.warnings[0]


def test_refusals() -> None:
    class Mute(Uniform):
        log_likelihood = None

    with pytest.raises(EvaluationError, match="a Mute cannot say how probable"):
        log_likelihood(Mute(), data())
    with pytest.raises(EvaluationError, match=r"Uniform takes no 'samples'; it takes: steps"):
        log_likelihood(Uniform(), data(), samples=3)
    with pytest.raises(RecipeError, match=r"samples: .*greater than or equal to 1"):
        log_likelihood(vae(), data(), samples=0)
    with pytest.raises(EvaluationError, match="at least 1, got 0"):
        log_likelihood(vae(), data(), 0)

"""A recipe that trains in a second, and a run of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.small_recipes import read, shrunk
from genkit.training import train


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, labelled, narrow networks, four steps."""
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    tree["system"]["generator"]["network"]["classes"] = 10
    tree["train"]["steps"] = 4
    tree["every"] = {"log": 2, "grid": 2, "checkpoint": 2}
    path = tmp_path_factory.mktemp("recipes") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def finished(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of `recipe`."""
    return train(recipe, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a generator of points."""
    from genkit.training.recipe import Recipe

    tree = shrunk(read("points/wgan_gp"))
    return train(Recipe.from_dict(tree), tmp_path_factory.mktemp("runs") / "points")


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exemplar VAE of 28 pixels with random weights and five exemplars."""
    from genkit.vae.latent_priors import ExemplarPrior
    from genkit.vae.networks.gated_vae import GatedVAENetwork
    from genkit.vae.vae import VAE

    torch.manual_seed(0)
    model = VAE(GatedVAENetwork(28, 1, 3, 8), prior=ExemplarPrior())
    model.exemplars.replace(torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8))
    return model.save_pretrained(tmp_path_factory.mktemp("vae"))

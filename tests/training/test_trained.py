"""A run's whole system, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.small_recipes import read, shrunk
from genkit.core.errors import CheckpointError
from genkit.core.generator import Generator
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.start import trained_system


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = shrunk(read("points/wgan_gp"))
    tree["train"]["ema"] = 0.0
    return train(Recipe.from_dict(tree), tmp_path_factory.mktemp("runs") / "points")


def test_the_generator_is_the_products_and_the_critic_has_learned(finished: Path) -> None:
    recipe, system = trained_system(finished)
    kept, fresh = Generator.from_pretrained(finished / "weights").state_dict(), recipe.build_system().state_dict()
    state = system.state_dict()
    assert not system.training and kept
    assert all(torch.equal(state[f"generator.{name}"], value) for name, value in kept.items())
    moved = [name for name in state if name.startswith("critic.") and not torch.equal(state[name], fresh[name])]
    assert "critic.head.weight" in moved


def test_a_damaged_checkpoint_is_told_and_passed_over(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step-00000009").mkdir(parents=True)
    (tmp_path / "recipe.yaml").write_bytes((finished / "recipe.yaml").read_bytes())
    told: list[str] = []
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        trained_system(tmp_path, told.append)
    assert len(told) == 1 and "step-00000009" in told[0]


def test_refusals(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no run folder"):
        trained_system(finished / "weights")
    other = Recipe.load(finished / "recipe.yaml", ["system.critic.width=9"])
    (tmp_path / "recipe.yaml").write_text(other.to_yaml())
    (tmp_path / "checkpoints").symlink_to(finished / "checkpoints")
    with pytest.raises(CheckpointError, match="does not fit"):
        trained_system(tmp_path)

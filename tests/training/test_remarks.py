from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.cli.main import main
from genkit.core.columns.values import Values
from genkit.data.dataset import DataSet
from genkit.data.domains import domains
from genkit.training.recipe import Recipe
from genkit.training.remarks import remarks
from tests.training.tiny import points


def told(recipe: Recipe, n: int = 50) -> list[str]:
    return list(remarks(recipe, DataSet("some", torch.zeros(n, 2))))


def test_a_batch_larger_than_the_data_is_told() -> None:
    recipe = points(train={"batch_size": 51})
    assert told(recipe, 51) == []
    (line,) = told(recipe, 50)
    assert line.startswith("train.batch_size: 51 is more than the 50 samples of some")


def test_what_a_mirrored_image_keeps_is_told() -> None:
    data = DataSet("some", torch.zeros(60, 2), attributes={"age": torch.arange(60.0)}, columns={"age": Values(0, 60)})
    (line,) = remarks(points(train={"mirror": True}), data)
    assert line == "train.mirror: a mirrored image keeps age of the one that it was made of"
    assert not list(remarks(points(), data))


def test_a_rollback_without_checkpoints_is_told() -> None:
    for every in ({"checkpoint": 0}, {"checkpoint": 20}):
        (line,) = told(points(20, rollback={"lr": 0.5}, every=every))
        assert line.startswith("rollback: there is no checkpoint on the way (every.checkpoint)")
    assert not told(points(20, rollback={"lr": 0.5}, every={"checkpoint": 19}))
    assert not told(points(20, every={"checkpoint": 0}))


def test_so_is_one_larger_than_the_target() -> None:
    source = DataSet("source", torch.zeros(60, 2), torch.arange(60) % 2)
    both = domains(source, DataSet("target", torch.zeros(50, 2)))
    (line,) = remarks(points(train={"batch_size": 51}), both)
    assert "50 samples of target" in line


@pytest.mark.parametrize("how", [["--dry-run"], ["--out", "run"]], ids=["dry run", "training"])
def test_the_command_line_tells(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(points(2, train={"batch_size": 401}).to_yaml())
    assert main(["train", "recipe.yaml", *how]) == 0
    assert capsys.readouterr().out.count("train.batch_size: 401 is more than the 50 samples of") == 1

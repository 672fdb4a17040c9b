"""A run that has not finished is used by the averaged weights of its newest good checkpoint, and says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.small_recipes import read, shrunk
from genkit.core.errors import UnfinishedRun, WeightsError
from genkit.core.files import sha256_of_file
from genkit.core.location import sha256_of_weights
from genkit.core.pretrained import Pretrained
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.show import Show
from genkit.training.unfinished import newest_averaged
from tests.cli.console import run
from tests.training.tiny import adapted, by_example, points

KINDS = {
    "gan": lambda: points(6),
    "by_example": lambda: by_example(6, every={"grid": 0}),
    "adapted": lambda: adapted(6),
    "ddpm": lambda: shipped("fashion_mnist/ddpm"),
    "vampprior": lambda: shipped("mnist/vamp_vae"),
    "classifier": lambda: shipped("mnist/classifier"),
}


def shipped(name: str) -> Recipe:
    tree = shrunk(read(name))
    tree["train"]["steps"], tree["every"] = 6, {"checkpoint": 4, "log": 2, "grid": 0}
    return Recipe.from_dict(tree)


class Cut(Exception):
    """Instead of a kill."""


def cut_short(recipe: Recipe, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that died before it could leave weights, its last checkpoint that of the last iteration."""
    with monkeypatch.context() as patch:
        patch.setattr(Show, "to", died)
        with pytest.raises(Cut):
            train(recipe, out)
    return out


def died(*_: Any) -> str:
    raise Cut


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_training_would_leave_behind(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = KINDS[kind]()
    run = cut_short(recipe, tmp_path / "run", monkeypatch)
    with pytest.warns(UnfinishedRun, match=r"run has not finished: these are its averaged weights of iteration 6$"):
        found = Pretrained.from_pretrained(run)
    train(recipe, run, resume=True)
    left: Any = Pretrained.from_pretrained(run)
    assert type(found) is type(left) and not found.training and found.config == left.config
    for name, value in left.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name
    if hasattr(left, "sample"):
        assert found.sample(2, rng=torch.Generator().manual_seed(0)).equal(
            left.sample(2, rng=torch.Generator().manual_seed(0))
        )


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        return cut_short(points(6), tmp_path_factory.mktemp("gan") / "run", patch)


def test_a_damaged_checkpoint_is_passed_over(gan: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(gan, tmp_path / "run"))
    for step, file in ((6, "ema.safetensors"), (4, "state.json")):
        with pytest.warns(UnfinishedRun, match=f"iteration {step}$"):
            Pretrained.from_pretrained(run)
        damaged = run / "checkpoints" / f"step-{step:08d}" / file
        damaged.write_bytes(damaged.read_bytes()[:-1] + b" ")
    with pytest.raises(WeightsError, match="neither a weights folder nor a run with a whole checkpoint"):
        Pretrained.from_pretrained(run)


def test_a_checkpoint_that_does_not_say_its_config_is_read_by_its_recipe(gan: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(gan, tmp_path / "run"))
    checkpoint = run / "checkpoints" / "step-00000006"
    state, manifest = (json.loads((checkpoint / name).read_text()) for name in ("state.json", "manifest.json"))
    assert state.pop("product")["type"] == "gan"
    (checkpoint / "state.json").write_text(json.dumps(state))
    manifest["state.json"]["sha256"] = sha256_of_file(checkpoint / "state.json")
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    with pytest.warns(UnfinishedRun, match="iteration 6$"):
        Pretrained.from_pretrained(run)


def test_its_identity_is_the_hash_of_the_averaged_weights(gan: Path) -> None:
    assert sha256_of_weights(gan) == sha256_of_file(gan / "checkpoints/step-00000006/ema.safetensors")


def test_every_command_says_in_one_line_what_it_took(
    gan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"warning: {gan} has not finished: these are its averaged weights of iteration 6\n"
    sampled = run(capsys, "sample", gan, "-n", 4, "--out", tmp_path / "samples")
    assert (sampled.code, sampled.err) == (0, line) and (tmp_path / "samples/points.npy").is_file()
    scored = run(capsys, "evaluate", gan, "--against", "gaussians8", "-n", 20, "--metrics", "fd")
    assert (scored.code, scored.err) == (0, line)
    told = run(capsys, "info", gan)
    assert told.code == 0 and "averaged weights of iteration 6" in told.out and "GAN" in told.out


def test_a_manifest_of_brackets_is_a_damaged_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoints" / "step-00000001"
    checkpoint.mkdir(parents=True)
    (tmp_path / "recipe.yaml").touch()
    for name in ("ema.safetensors", "state.json"):
        (checkpoint / name).touch()
    (checkpoint / "manifest.json").write_text("[" * 10**5)
    assert newest_averaged(tmp_path) is None


def test_a_product_that_needs_its_data_is_not_made_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cut_short(by_example(6, every={"grid": 0}), tmp_path / "run", monkeypatch)
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe.replace("split: test", "split: train"))
    with pytest.raises(WeightsError, match=r"the data have changed since .*step-00000006 was written"), pytest.warns():
        Pretrained.from_pretrained(run)

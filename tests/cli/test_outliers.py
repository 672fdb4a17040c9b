"""genkit outliers: from a data set or a run to a ranking, and what it refuses."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.small_recipes import read, shrunk
from genkit.cli import outlier_game, outliers
from genkit.core.errors import TrainingError
from genkit.core.interruption import Stopped
from genkit.data.digits import digits
from genkit.evaluation.outliers import Ranking
from genkit.images import pixels as images
from genkit.training import stages as training
from genkit.training import train
from genkit.training.recipe import Recipe
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]
QUICK = ("--steps", 2, "--size", 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 digits and a file that is none."""
    path = tmp_path_factory.mktemp("pictures")
    images.write_folder([digits().x[::80][:60]], path)
    (path / "000030.png").write_bytes(b"no picture")
    return path


@pytest.fixture(scope="module")
def robust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = shrunk(read("digits/robust_wgan_closed_form"))
    return train(Recipe.from_dict(tree), tmp_path_factory.mktemp("runs") / "robust")


def test_a_folder_is_learned_and_ranked(capsys: Capture, folder: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "ranked.csv", tmp_path / "worst.png"
    ran = run(capsys, "outliers", folder, *QUICK, "--skip-bad", "--out", out, "--grid", picture, "--worst", 12)
    assert ran.code == 0, ran
    assert "59 of 60 images" in ran.out and "left out: 1" in ran.out and "of 59 images" in ran.out
    rows = list(csv.DictReader(out.open()))
    assert sorted(int(row["row"]) for row in rows) == list(range(59))
    at = {int(row["row"]): row["file"] for row in rows}
    assert at[29] == "000029.png" and at[30] == "000031.png" and at[58] == "000059.png"
    weights = [float(row["weight"]) for row in rows]
    assert weights == sorted(weights) and sum(weights) == pytest.approx(59, rel=1e-4)
    assert images.decode(picture.read_bytes(), "worst.png")[0].shape == (1, 3 * 66 - 2, 4 * 66 - 2)
    assert f"the 12 most suspicious images in {picture}" in ran.out
    assert not list(tmp_path.glob("run*"))


def test_a_picture_of_all_images_does_not_call_them_suspicious(capsys: Capture, tmp_path: Path) -> None:
    data = digits().taken("five", slice(0, 5))
    ranking: Any = SimpleNamespace(order=torch.arange(5))
    outliers._write(ranking, data, None, tmp_path / "all.png", 64)
    assert capsys.readouterr().out == f"all images, the most suspicious first, in {tmp_path / 'all.png'}\n"


def test_a_run_ranks_a_named_set(capsys: Capture, robust: Path, tmp_path: Path) -> None:
    ran = run(capsys, "outliers", "digits/test", "--run", robust, "--out", tmp_path / "a.csv")
    assert ran.code == 0 and "of 1000 images" in ran.out and "closed form, rho 0.0263" in ran.out, ran
    assert (tmp_path / "a.csv").read_text().startswith("rank,row,weight,score\n")
    ran = run(capsys, "outliers", "digits/test", "--run", robust, "--share", 0.2)
    assert "rho 0.125" in ran.out and "first rows: " in ran.out


def test_a_runs_weight_network_ranks(capsys: Capture, tmp_path: Path) -> None:
    tree = shrunk(read("fashion_mnist/robust_wgan")) | {"data": {"type": "digits", "split": "test"}}
    tree["evaluate"] = None
    made = train(Recipe.from_dict(tree), tmp_path / "run")
    assert "weight network" in run(capsys, "outliers", "digits/test", "--run", made).out
    assert "give no other" in refusal(capsys, "outliers", "digits/test", "--run", made, "--share", 0.1)


@pytest.mark.parametrize("share", ["0.5", "-0.1", "nan", "7"])
def test_a_share_that_would_be_the_data(capsys: Capture, folder: Path, share: str) -> None:
    assert "0 to below 0.5" in refusal(capsys, "outliers", folder, f"--share={share}")


@pytest.mark.parametrize("option", ["--out", "--grid"])
def test_a_folder_where_a_file_should_be(capsys: Capture, folder: Path, tmp_path: Path, option: str) -> None:
    place = tmp_path / "place.png"
    place.mkdir()
    assert "is a folder; name a file in it" in refusal(capsys, "outliers", folder, option, place)


@pytest.mark.parametrize("command", [["outliers"], ["evaluate", "--metrics", "outliers"]], ids=lambda c: c[0])
def test_a_picture_is_a_png(capsys: Capture, folder: Path, tmp_path: Path, command: list[str]) -> None:
    said = refusal(capsys, command[0], folder, *command[1:], "--grid", tmp_path / "x.jpg")
    assert "'x.jpg' should end with .png" in said


def test_data_that_cannot_be_ranked(capsys: Capture, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no images" in refusal(capsys, "outliers", tmp_path / "empty")
    assert "does not exist" in refusal(capsys, "outliers", tmp_path / "none")
    assert "holds points" in refusal(capsys, "outliers", "gaussians8")
    assert "000030.png" in refusal(capsys, "outliers", folder, *QUICK)
    few = tmp_path / "few"
    images.write_folder([torch.zeros(3, 1, 8, 8, dtype=torch.uint8)], few)
    assert "has 3 images; a generator learns from 50 or more" in refusal(capsys, "outliers", few, *QUICK)


def test_runs_that_cannot_rank(capsys: Capture, robust: Path, finished: Path, tmp_path: Path) -> None:
    assert "'--steps': 1 is not in the range" in refusal(capsys, "outliers", "digits", "--steps", 1)
    assert "leave one of them out" in refusal(capsys, "outliers", "digits", "--run", robust, "--steps", 9)
    assert "no run folder" in refusal(capsys, "outliers", "digits", "--run", tmp_path)
    assert "no run folder" in refusal(capsys, "outliers", "digits", "--run", robust / "weights")
    assert "trained without weights; give by --share" in refusal(capsys, "outliers", "digits", "--run", finished)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "recipe.yaml").write_bytes((robust / "recipe.yaml").read_bytes())
    assert "no whole checkpoint" in refusal(capsys, "outliers", "digits", "--run", tmp_path / "half")
    for place in (robust, robust / "weights"):
        assert f"DATA: {place} is a run or weights; give images" in refusal(capsys, "outliers", place)


def test_a_run_without_a_critic(capsys: Capture, tmp_path: Path) -> None:
    tree = shrunk(read("mnist/classifier")) | {"data": {"type": "digits"}}
    made = train(Recipe.from_dict(tree), tmp_path / "run")
    assert "classifier_training, which has no critic" in refusal(capsys, "outliers", "digits", "--run", made)


@pytest.mark.parametrize(("side", "learned"), [(6, 8), (27, 24), (40, 32)])
def test_images_are_learned_as_large_as_they_are(tmp_path: Path, side: int, learned: int) -> None:
    """Up to 32 pixels; a later one that is smaller, and those below 8 pixels, are enlarged."""
    grey = torch.zeros(40, 1, side, side, dtype=torch.uint8)
    images.write_folder([grey], tmp_path)
    images.write_png(tmp_path / "zz.png", torch.zeros(1, 5, 5, dtype=torch.uint8))
    items = outliers._items(outliers._spec(str(tmp_path), None, None, False))
    assert items.sample_shape == (1, learned, learned) and len(items) == 41
    assert outliers._spec("digits", None, None, False)["size"] == 28


def test_the_last_images_say_what_the_folder_is_as_well_as_the_first(tmp_path: Path) -> None:
    grey, colour = torch.zeros(60, 1, 12, 12, dtype=torch.uint8), torch.zeros(60, 3, 24, 24, dtype=torch.uint8)
    images.write_folder([grey], tmp_path / "a")
    images.write_folder([colour], tmp_path / "b")
    spec = outliers._spec(str(tmp_path), None, None, False)
    assert spec["channels"] == 3 and spec["size"] == 24


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("{typ: digits}", "has no type, a name of 'genkit list data'"),
        ("{type: digits, size: 20}", "the size of {type: digits, size: 20} is said by itself; leave the option out"),
        ("{type: part, data: {type: digits}, stop: 60}", "is said by itself; leave the option out"),
    ],
)
def test_specs_and_the_size(capsys: Capture, data: str, reason: str) -> None:
    assert reason in refusal(capsys, "outliers", data, "--size", 16)


def test_images_that_are_too_small(capsys: Capture) -> None:
    line = ["outliers", "{type: part, data: {type: digits, size: 4}, stop: 60}", "--steps", 2]
    assert "images of 4 pixels are too small; 8 are needed" in refusal(capsys, *line)


@pytest.mark.parametrize(("places", "trained", "kept"), [((30, 2), 2, 2), ((30, 40, 20, 50), 4, 20), ((1,), 1, 1)])
def test_it_is_trained_until_planted_noise_comes_first(
    capsys: Capture,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    places: tuple[int, ...],
    trained: int,
    kept: int,
) -> None:
    """The best round counts where none will do; all rounds are of one run, whose data hold the noise."""
    runs: list[tuple[Path, int]] = []
    told = iter(places)

    def train(recipe: Recipe, run: Path, resume: bool, watcher: Any) -> None:
        assert len(recipe.build_data()) == 59 + 5 and resume == bool(runs)
        runs.append((run, recipe.train.steps))

    def ranking(game: Any, items: Any, share: float, progress: Any, crew: Any, noise: Any) -> Ranking:
        assert len(items) == 59 and len(noise) == 5
        score = torch.arange(59.0)
        return Ranking(torch.ones(59), score, "closed form", 0.026, next(told))

    def together(rankings: list[Ranking]) -> Ranking:
        assert len(rankings) == len(runs)
        return rankings[-1]

    game: Any = SimpleNamespace(state_dict=dict, load_state_dict=lambda state: None, eval=lambda: game)
    monkeypatch.setattr(outlier_game, "on_device", lambda game: game)
    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr("genkit.training.start.trained_system", lambda run: (None, game))
    monkeypatch.setattr("genkit.evaluation.outliers.rank_outliers", ranking)
    monkeypatch.setattr("genkit.evaluation.outliers.averaged", together)
    monkeypatch.setattr(outlier_game, "ROUNDS", (200, 400, 600, 800))
    ran = run(capsys, "outliers", folder, "--skip-bad", "--size", 8)
    assert ran.code == 0, ran
    assert [steps for _, steps in runs] == list(outlier_game.ROUNDS[:trained]) and len({run for run, _ in runs}) == 1
    assert ran.out.count("training on") == trained - 1
    assert ("cannot be trusted" in ran.out) == (kept > 3) and (kept <= 3 or f"as number {kept} of 59" in ran.out)


def test_a_training_that_is_stopped_promises_nothing(
    capsys: Capture, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in a folder that goes away, and there is no --resume."""

    def stopped(*_: Any, **__: Any) -> None:
        raise Stopped(signal.SIGTERM, 3)

    monkeypatch.setattr(training, "train", stopped)
    ran = run(capsys, "outliers", folder, *QUICK, "--skip-bad")
    assert ran.code == 143 and ran.err.startswith("genkit: stopped by SIGTERM after iteration 3; nothing is kept")
    assert "--resume" not in ran.err and ran.err.count("\n") == 1


def test_a_training_that_diverged_is_told_in_terms_of_the_command(
    capsys: Capture, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(*_: Any, **__: Any) -> None:
        raise TrainingError("iteration 3: lower optimizers.critic.lr in a new run --from this one")

    monkeypatch.setattr(training, "train", diverged)
    line = refusal(capsys, "outliers", folder, *QUICK, "--skip-bad")
    assert "diverged; try another --seed" in line and "--from" not in line

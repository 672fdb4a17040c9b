from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run_contents import contents
from genkit.core import catalog
from genkit.core.errors import CheckpointError
from genkit.training import run_folder as folder_module
from genkit.training import train
from genkit.training.environment import environment
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from genkit.training.trainer import Trainer
from tests.training.tiny import child, points


def hold(path: Path, held: Path, release: Path) -> None:
    import time

    with RunFolder(path).locked():
        held.touch()
        while not release.exists():
            time.sleep(0.01)


def test_a_second_process_is_refused_while_the_first_one_trains(tmp_path: Path) -> None:
    import time

    held, release = tmp_path / "held", tmp_path / "release"
    process = child(hold, tmp_path / "run", held, release)
    deadline = time.monotonic() + 60
    while not held.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with (
        pytest.raises(CheckpointError, match=r"another process is training in .*run"),
        RunFolder(tmp_path / "run").locked(),
    ):
        pass
    release.touch()
    process.join(30)
    with RunFolder(tmp_path / "run").locked():
        pass


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    import time

    process = child(hold, tmp_path / "run", tmp_path / "held", tmp_path / "never")
    deadline = time.monotonic() + 60
    while not (tmp_path / "held").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.join()
    with RunFolder(tmp_path / "run").locked():
        pass


def test_a_run_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.keep(points(20))
    with pytest.raises(
        CheckpointError,
        match=r"holds a run already; go on with --resume \(Python: resume=True\) or choose another --out",
    ):
        folder.open(points(20), resume=False)
    folder.open(points(20), resume=True)


def test_another_recipe_is_refused_with_the_difference(tmp_path: Path) -> None:
    RunFolder(tmp_path).keep(points(20))
    before = (tmp_path / "recipe.yaml").read_bytes()
    with pytest.raises(CheckpointError, match=r"another recipe \(train\.seed: 0 -> 3\).* --from .*another --out"):
        RunFolder(tmp_path).open(points(30, train={"seed": 3}), resume=True)
    with pytest.raises(CheckpointError, match=r"system\.rule: .* -> None"):
        RunFolder(tmp_path).open(points(20, clipped=False), resume=True)
    assert (tmp_path / "recipe.yaml").read_bytes() == before


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"{", b"- 1\n"])
def test_a_damaged_recipe_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "recipe.yaml").write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"cannot be read|another recipe"):
        RunFolder(tmp_path).open(points(20), resume=True)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(CheckpointError, match="is a file; a run needs a folder"):
        RunFolder(tmp_path / "run").open(points(20), resume=False)
    with pytest.raises(CheckpointError, match=r"cannot write .*run"), RunFolder(tmp_path / "run").locked():
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"), RunFolder(tmp_path / "run").locked():
        pass


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".metrics.jsonl.12345678.tmp").touch()
    RunFolder(tmp_path).open(points(20), resume=False)
    assert not list(tmp_path.iterdir())


def test_the_environment_is_written(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).remember(0, {"processes": 2, "seed": 4}, []) == []
    read = json.loads((tmp_path / "environment.json").read_text())
    assert not (tmp_path / "history.json").exists()
    assert (
        read["seed"] == 4 and read["processes"] == 2 and read["versions"]["torch"] == environment()["versions"]["torch"]
    )
    assert read["python"].startswith("3.")


def test_what_has_changed_is_told_and_kept_beside_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path)
    run.remember(0, {"processes": 1}, [])
    first = run.environment.read_bytes()
    assert run.remember(3, {"processes": 1}, []) == []
    monkeypatch.setattr(folder_module, "environment", lambda: {**environment(), "threads": 77})
    threads = environment()["threads"]
    told = run.remember(5, {"processes": 2}, ["train.steps: 20 -> 30"])
    assert told == [
        "the recipe has changed at iteration 5: train.steps: 20 -> 30",
        f"the environment has changed at iteration 5: threads: {threads} -> 77; processes: 1 -> 2",
    ]
    assert run.remember(9, {"processes": 2}, []) == [], "compared with the last time, not with the first"
    assert run.environment.read_bytes() == first
    (entry,) = json.loads(run.history.read_text())["changes"]
    assert entry["iteration"] == 5 and entry["environment"]["threads"] == 77


def test_another_start_is_refused(tmp_path: Path) -> None:
    RunFolder(tmp_path).keep(points(20))
    with pytest.raises(CheckpointError, match="was started without --from; leave --from out"):
        RunFolder(tmp_path).open(points(20), resume=True, start="mnist-classifier")


def test_the_start_of_a_run_that_never_wrote_a_checkpoint_is_known(tmp_path: Path) -> None:
    shutil.copytree(catalog.shipped("weights") / "mnist-classifier", tmp_path / "w")
    run = RunFolder(tmp_path / "run")
    run.open(points(20), resume=False, start=str(tmp_path / "w"))
    run.open(points(20), resume=True, start=str(tmp_path / "w"))
    assert run.start_again() == str(tmp_path / "w")
    with open(tmp_path / "w" / "model.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match="has changed since"):
        run.start_again()


@pytest.mark.parametrize("damage", [{"changes": [5]}, {"changes": {"a": 1}}, {"changes": [{"environment": 3}]}, {}, []])
def test_a_damaged_history_does_not_keep_a_run_from_going_on(damage: Any, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.remember(0, {"processes": 1}, [])
    run.history.write_text(json.dumps(damage))
    assert run.remember(3, {"processes": 2}, []) == ["the environment has changed at iteration 3: processes: 1 -> 2"]
    assert len(json.loads(run.history.read_text())["changes"]) == 1


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    changes = ["train.steps=1", "train.batch_size=4", "evaluate=null", "every.grid=0", "train.trackers=[]"]
    recipe = Recipe.load("digits/wgan_ratio_clipping", changes)
    run = train(recipe, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert train(recipe, run, resume=True) == run
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    (run / "report.html").unlink()
    train(recipe, run, resume=True)
    assert (run / "report.html").is_file(), "what is missing is made again"


@pytest.mark.parametrize("lost", ["removed", "damaged"])
def test_finished_weights_are_not_trained_over_where_no_checkpoint_is_left(lost: str, tmp_path: Path) -> None:
    """Somebody frees the disk of checkpoints; going on with more iterations would begin anew."""
    run = train(points(4), tmp_path / "run")
    for checkpoint in (run / "checkpoints").iterdir():
        shutil.rmtree(checkpoint) if lost == "removed" else (checkpoint / "system.safetensors").write_bytes(b"")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert train(points(4), run, resume=True) == run, "it has finished already"
    with pytest.raises(
        CheckpointError, match=r"holds finished weights and no whole checkpoint to go on from; .* --from"
    ):
        train(points(6), run, resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_checkpoints_without_a_recipe_are_not_gone_on_from(tmp_path: Path) -> None:
    train(points(4), tmp_path / "run")
    (tmp_path / "run/recipe.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"has checkpoints and no recipe\.yaml"):
        train(points(6), tmp_path / "run", resume=True)


def test_a_folder_that_is_moved_while_it_is_trained_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, quiet = Trainer.iterate, points(12, every={"log": 50, "checkpoint": 4})

    def iterate(self: Trainer) -> Any:
        if self.step == 5:
            (tmp_path / "run").rename(tmp_path / "moved")
        return honest(self)

    monkeypatch.setattr(Trainer, "iterate", iterate)
    with pytest.raises(CheckpointError, match="run was moved or deleted while it was trained"):
        train(quiet, tmp_path / "run")
    monkeypatch.setattr(Trainer, "iterate", honest)
    train(quiet, tmp_path / "moved", resume=True)
    train(quiet, tmp_path / "straight")
    assert contents(tmp_path / "moved")["files"] == contents(tmp_path / "straight")["files"]


@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        "weights/model.safetensors",
        "grids/00000005.png",
        "data.json",
        "environment.json",
        "metrics.jsonl",
    ],
)
def test_a_new_run_overwrites_no_files_of_others(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    held = name.partition("/")[0]
    for resume in (False, True):
        with pytest.raises(CheckpointError, match=f"holds {held} and no recipe.yaml, so it is of no run"):
            train(points(), tmp_path / "mine", resume=resume)
    assert [p.read_text() for p in (tmp_path / "mine").rglob("*") if p.is_file()] == ["mine"]


def test_what_a_run_leaves_that_ended_before_its_recipe_is_no_hindrance(tmp_path: Path) -> None:
    train(points(steps=2), tmp_path / "run")
    for path in (tmp_path / "new", tmp_path / "again"):
        path.mkdir()
        for name in ("data.json", "environment.json"):
            shutil.copy(tmp_path / "run" / name, path)
        (path / "notes.txt").write_text("mine")
        train(points(steps=2), path, resume=path.name == "again")
        assert (path / "notes.txt").read_text() == "mine" and (path / "weights" / "config.json").is_file()


def test_no_run_begins_among_the_files_of_another(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: a recipe that is no run")
    run = train(points(2), tmp_path / "run")
    for inside in ("weights/sub", "checkpoints", "grids/a/b"):
        with pytest.raises(CheckpointError, match=r"lies in the run .*run, which may replace it; choose another --out"):
            train(points(2), run / inside)
    assert RunFolder(run).finished(points(2))
    train(points(2), run / "mine")

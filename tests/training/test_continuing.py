"""Going on with other data, another length, other settings, or from the weights of another run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from benchmarks.run_contents import contents
from genkit.core.columns.values import Values
from genkit.core.errors import CheckpointError, RecipeError, TrainingError, UnfinishedRun, WeightsError
from genkit.core.location import sha256_of_weights
from genkit.core.pretrained import Pretrained
from genkit.data.shapes import shapes
from genkit.images import pixels as images
from genkit.training import train
from genkit.training.continuing import check_recipe, environment_changes, in_a_line
from genkit.training.data_record import data_changes, data_record, known_rows, shared_rows
from genkit.training.recipe import Recipe
from genkit.training.run import Run
from genkit.training.run_folder import RunFolder
from genkit.training.trainer import Trainer
from tests.training.tiny import by_example, points
from tests.training.tiny import images as images_recipe


class Notes:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def work(self, what: str, done: int, total: int) -> None: ...
    def note(self, line: str) -> None:
        self.lines.append(line)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights/model.safetensors")


def newest(run: Path, file: str = "system.safetensors") -> dict[str, torch.Tensor]:
    return load_file(sorted((run / "checkpoints").glob("step-*"))[-1] / file)


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[k].equal(b[k]) for k in a)


def test_a_finished_run_goes_on_to_a_larger_length_as_if_it_had_always_had_it(tmp_path: Path) -> None:
    watcher = Notes()
    train(points(6), tmp_path / "run")
    train(points(11), tmp_path / "run", resume=True, watcher=watcher)
    train(points(11), tmp_path / "straight")
    assert equal(newest(tmp_path / "run"), newest(tmp_path / "straight"))
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "straight"))
    assert "the recipe has changed at iteration 6: train.steps: 6 -> 11" in watcher.lines
    assert Recipe.load(tmp_path / "run/recipe.yaml").train.steps == 11


def test_a_length_that_is_behind_the_run_is_refused(tmp_path: Path) -> None:
    train(points(6), tmp_path)
    with pytest.raises(CheckpointError, match=r"has done 6 iterations already; train\.steps must be at least"):
        train(points(5), tmp_path, resume=True)


def test_what_is_shown_of_the_weights_may_change_and_the_weights_do_not(tmp_path: Path) -> None:
    train(points(6), tmp_path / "straight")
    train(points(4), tmp_path / "run")
    train(points(6, every={"log": 1, "grid": 2, "checkpoint": 1, "keep": 9}), tmp_path / "run", resume=True)
    assert equal(newest(tmp_path / "run"), newest(tmp_path / "straight"))
    assert sorted(p.stem for p in (tmp_path / "run/grids").iterdir()) == ["00000006"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "other"),
        ("description", "other"),
        ("every", {"log": 7, "grid": 7, "checkpoint": 7, "evaluate": 7, "keep": 7}),
        ("evaluate", {"n": 10, "metrics": ["fd"]}),
    ],
)
def test_keys_that_cannot_change_weights(key: str, value: Any) -> None:
    old = points(20).to_dict()
    assert check_recipe(old, {**old, key: value}, 0, "run")


@pytest.mark.parametrize(
    "key", ["seed", "batch_size", "ema", "accumulate", "precision", "mirror", "channels_last", "threads"]
)
def test_keys_that_can(key: str) -> None:
    old = points(20).to_dict()
    with pytest.raises(CheckpointError, match=f"train.{key}: .* -> 'x'"):
        check_recipe(old, {**old, "train": {**old["train"], key: "x"}}, 0, "run")


def test_a_diverged_run_can_be_left_with_a_lower_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Trainer.perform

    def perform(self: Trainer, update: Any) -> Any:
        if self.step == 6 and self.rules["generator"].lr > 1e-3:
            return honest(self, replace(update, loss=lambda **on: {"loss": update.loss(**on)["loss"] * float("nan")}))
        return honest(self, update)

    monkeypatch.setattr(Trainer, "perform", perform)
    with pytest.raises(
        TrainingError, match=r"lower optimizers\.critic\.lr or set its clip_norm in a new run; with --from this one"
    ):
        train(points(9, clipped=False), tmp_path / "run")
    with pytest.raises(TrainingError):
        train(points(9, clipped=False), tmp_path / "run", resume=True)
    rate = {"type": "adam", "lr": 1e-4}
    lower = points(9, clipped=False, optimizers={"critic": rate, "generator": rate})
    with pytest.raises(CheckpointError, match=r"--from .*run"):
        train(lower, tmp_path / "run", resume=True)
    watcher = Notes()
    train(lower, tmp_path / "lower", start=tmp_path / "run", watcher=watcher)
    assert f"starts from {tmp_path / 'run'}, iteration 4: all its networks" in watcher.lines
    begun = load_file(tmp_path / "lower/checkpoints/step-00000009/system.safetensors")
    assert begun.keys() == newest(tmp_path / "run").keys()


def test_a_run_that_starts_from_another_has_all_its_networks_and_its_average(tmp_path: Path) -> None:
    train(points(6), tmp_path / "first")
    keep = points(6, every={"keep": 9})
    train(keep, tmp_path / "second", start=tmp_path / "first")
    start = tmp_path / "second/checkpoints/step-00000000"
    assert equal(load_file(start / "system.safetensors"), newest(tmp_path / "first"))
    assert equal(load_file(start / "ema.safetensors"), newest(tmp_path / "first", "ema.safetensors"))


def test_what_a_run_starts_from_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genkit.training import one_run, run

    calls, honest = list[str](), one_run.start_from
    for module in (one_run, run):
        monkeypatch.setattr(module, "start_from", lambda source, *rest: calls.append(source) or honest(source, *rest))
    train(points(6), tmp_path / "first")
    train(points(6), tmp_path / "second", start=tmp_path / "first")
    assert calls == [str(tmp_path / "first")]


def test_a_run_that_starts_from_weights_has_the_products_that_lie_there(tmp_path: Path) -> None:
    watcher = Notes()
    train(points(6), tmp_path / "first")
    train(points(6, every={"keep": 9}), tmp_path / "second", start=tmp_path / "first/weights", watcher=watcher)
    state = load_file(tmp_path / "second/checkpoints/step-00000000/system.safetensors")
    for name, tensor in weights(tmp_path / "first").items():
        assert state[f"generator.{name}"].equal(tensor)
    for name, tensor in load_file(tmp_path / "first/weights/critic/model.safetensors").items():
        assert state[f"critic.{name}"].equal(tensor)
    assert f"starts from the weights of {tmp_path / 'first/weights'}; new are classifier" in watcher.lines


def test_a_recipe_may_say_what_it_begins_from(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    train(points(6), first)
    tree = points(4).to_dict() | {"start": str(first)}
    for out in (second, tmp_path / "again"):
        train(Recipe.from_dict(tree), out)
    train(points(4), other, start=first)
    assert equal(weights(second), weights(other)) and equal(weights(second), weights(tmp_path / "again"))
    assert (second / "start.json").read_bytes() == (other / "start.json").read_bytes()
    assert "| begun from | first |" in (second / "weights/README.md").read_text()
    first.rename(tmp_path / "moved")  # a run that goes on has no need of what it began from
    tree["train"]["steps"] = 6
    longer = Recipe.from_dict(tree)
    for run, recipe in ((second, longer), (other, points(6))):
        train(recipe, run, resume=True)
    assert equal(newest(second), newest(other)) and newest(second)
    with pytest.raises(CheckpointError, match=r"started with another recipe \(start: "):
        train(Recipe.from_dict(tree | {"start": str(other)}), second, resume=True)
    with pytest.raises(RecipeError, match=r"start: the recipe begins from .*first, and --from is .*other; leave"):
        train(longer, tmp_path / "new", start=other)
    with pytest.raises(WeightsError, match="no weights at nowhere"):
        train(Recipe.from_dict(tree | {"start": "nowhere"}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_critic_of_another_shape_begins_anew(tmp_path: Path) -> None:
    watcher = Notes()
    train(points(6), tmp_path / "first")
    tree = points(6).to_dict()
    tree["system"]["critic"]["width"] += 1
    train(Recipe.from_dict(tree), tmp_path / "second", start=tmp_path / "first/weights", watcher=watcher)
    assert f"starts from the weights of {tmp_path / 'first/weights'}; new are classifier, critic" in watcher.lines


def test_a_started_run_that_is_killed_at_once_still_starts_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genkit.training import run as run_module

    train(points(6), tmp_path / "first")
    train(points(6), tmp_path / "straight", start=tmp_path / "first")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(run_module.Run, "_checkpoint", die)
        train(points(6), tmp_path / "killed", start=tmp_path / "first")
    assert not list((tmp_path / "killed/checkpoints").glob("step-*"))
    train(points(6), tmp_path / "killed", resume=True)
    assert contents(tmp_path / "killed")["files"] == contents(tmp_path / "straight")["files"]


def test_exemplars_of_other_data_do_not_keep_a_vae_from_starting(tmp_path: Path) -> None:
    train(by_example(3), tmp_path / "first")
    train(by_example(3), tmp_path / "second", start=tmp_path / "first/weights")
    assert Pretrained.from_pretrained(tmp_path / "second")


def test_weights_of_another_kind_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds a Classifier, and this recipe trains a GAN"):
        train(points(3), tmp_path / "run", start="mnist-classifier")
    assert not (tmp_path / "run").exists()
    train(points(3), tmp_path / "first")
    wider = images_recipe(3)
    with pytest.raises(
        CheckpointError, match=r"does not fit this recipe: it makes 2, and the recipe 1 x \d+ x \d+; start"
    ):
        train(wider, tmp_path / "run", start=tmp_path / "first/weights")
    assert not (tmp_path / "run").exists()


def pictures(folder: Path, count: int, seed: int = 0) -> Path:
    rng = torch.Generator().manual_seed(seed)
    images.write_folder([torch.randint(0, 256, (count, 1, 8, 8), generator=rng, dtype=torch.uint8)], folder)
    return folder


def of_folder(path: Path, steps: int = 4) -> Recipe:
    return replace(images_recipe(steps), data={"type": "folder", "path": str(path), "size": 8, "channels": 1})


def add(folder: Path) -> None:
    images.write_png(folder / "new.png", torch.zeros(1, 8, 8))


def remove(folder: Path) -> None:
    (folder / "000003.png").unlink()


def swap(folder: Path) -> None:
    images.write_png(folder / "000002.png", torch.zeros(1, 8, 8))


@pytest.mark.parametrize(
    ("change", "said"),
    [(add, r"1 new \(new.png\)"), (remove, r"1 missing \(000003.png\)"), (swap, r"1 changed \(000002.png\)")],
)
def test_changed_data_are_refused_and_it_is_said_what_has_changed(change: Any, said: str, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "data", 12)
    train(of_folder(folder), tmp_path / "run")
    train(of_folder(folder, 6), tmp_path / "run", resume=True)
    before = contents(tmp_path / "run")
    change(folder)
    with pytest.raises(CheckpointError, match=f"data have changed since .* was stopped .*{said}.*--from"):
        train(of_folder(folder, 8), tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == before


def test_records_tell_rows_labels_classes_shapes_and_targets_apart() -> None:
    from genkit.core.catalog import build

    digits = {"type": "digits", "split": "test", "size": 8}
    plain = data_record(build(digits))
    assert data_changes(plain, data_record(build(digits))) == ""
    assert "shape [1, 8, 8] -> [1, 9, 9]" in data_changes(plain, data_record(build({**digits, "size": 9})))
    relabelled = build(digits)
    labels = relabelled.labels.clone()
    labels[5] = (labels[5] + 1) % 10
    assert data_changes(plain, data_record(replace(relabelled, labels=labels))) == "1 changed"
    assert data_changes(plain, data_record(replace(relabelled, classes=tuple("abcdefghij")))).startswith("classes [")
    two = [
        data_record(
            build({"type": "domains", "source": digits, "target": {"type": "shifted", "data": digits, "noise": n}})
        )
        for n in (0.1, 0.2)
    ]
    assert data_changes(*two).startswith("the target: ")
    json.dumps(plain)


def test_records_tell_attributes_apart() -> None:
    data = shapes(n=6, size=8)
    old = data_record(data)
    assert data_changes(old, data_record(shapes(n=6, size=8))) == "" and json.dumps(old)
    hue = data.attributes["hue"].clone()
    hue[4] = 0.5
    assert data_changes(old, data_record(replace(data, attributes={**data.attributes, "hue": hue}))) == "1 changed"
    wider = replace(data, columns={**data.columns, "size": Values(0.2, 0.9)})
    assert data_changes(old, data_record(wider)).startswith("attributes {")
    assert data_changes(data_record(shapes(n=6, size=8, attributes=False)), old).startswith("attributes None -> {")


def test_an_environment_is_compared_in_what_both_have() -> None:
    old, new = {"a": 1, "v": {"torch": "2", "x": None}}, {"a": 1, "v": {"torch": "3", "x": "1"}, "later": 2}
    assert environment_changes(old, new) == ["torch: 2 -> 3", "x: none -> 1"]
    assert in_a_line([str(i) for i in range(8)]) == "0; 1; 2; 3; 4; and 3 more"


def test_what_an_end_has_left_does_not_outlive_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and scores of iteration 6 are not those of a run on its way to 12, nor do they make it finished."""
    scored = {"evaluate": {"metrics": ["modes"], "n": 100, "best": "good_samples"}}
    train(points(6, **scored), tmp_path)
    folder, longer = RunFolder(tmp_path), points(12, **scored)
    assert folder.finished(points(6, **scored)) and not folder.finished(longer)
    old = sha256_of_weights(tmp_path)
    for dies in ("_iterate", "_score"):
        with monkeypatch.context() as patch:
            patch.setattr(Run, dies, dead)
            with pytest.raises(Dead):
                train(longer, tmp_path, resume=True)
        assert not folder.finished(longer) and not folder.scores.exists() and not folder.reported
        assert (folder.weights / "config.json").exists() == (dies == "_score"), "weights are written before scores"
    assert sha256_of_weights(tmp_path) != old
    train(longer, tmp_path, resume=True)
    assert folder.finished(longer) and json.loads(folder.metrics.read_text().splitlines()[-1])["step"] == 12
    train(points(12, **scored), tmp_path / "straight")
    assert (
        folder.scores.read_text().partition('"seconds"')[0]
        == RunFolder(tmp_path / "straight").scores.read_text().partition('"seconds"')[0]
    )


class Dead(Exception):
    """Instead of a kill."""


def dead(*_: Any) -> None:
    raise Dead


def test_an_unfinished_extension_is_sampled_as_it_is_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(points(6), tmp_path)
    calls, iterate = [0], Run._iterate

    def some(run: Run, stop: Any) -> None:
        calls[0] += 1
        if calls[0] > 4:
            raise Dead
        iterate(run, stop)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_iterate", some)
        with pytest.raises(Dead):
            train(points(20), tmp_path, resume=True)
    with pytest.warns(UnfinishedRun, match="has not finished: these are its averaged weights of iteration 8"):
        Pretrained.from_pretrained(tmp_path)


def test_a_finished_run_is_scored_again_when_other_scores_are_asked_for(tmp_path: Path) -> None:
    def scored(n: int) -> Recipe:
        return points(6, evaluate={"metrics": ["fd"], "n": n, "best": "fd"})

    train(scored(50), tmp_path)
    before, state = json.loads((tmp_path / "scores.json").read_text()), weights(tmp_path)
    assert not RunFolder(tmp_path).finished(scored(40))
    train(scored(40), tmp_path, resume=True)
    after = json.loads((tmp_path / "scores.json").read_text())
    assert (before["n"], after["n"]) == (50, 40) and before["values"] != after["values"]
    assert equal(weights(tmp_path), state)
    assert "evaluate.n: 50 -> 40" in (tmp_path / "history.json").read_text()


def test_a_refused_resume_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "data", 12)
    recipe = on_folder(path, 6)
    train(recipe, tmp_path / "run")
    (path / "more.png").write_bytes((path / "0.png").read_bytes())
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file() and p.name != ".lock"}
    with pytest.raises(CheckpointError, match=r"the data have changed .*1 new \(more\.png\)"):
        train(on_folder(path, 9), tmp_path / "run", resume=True)
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file() and p.name != ".lock"} == before


def test_data_that_were_only_moved_are_the_same_data(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "data", 12)
    train(on_folder(path, 6), tmp_path / "run")
    path = path.rename(tmp_path / "elsewhere")
    train(on_folder(path, 11), tmp_path / "run", resume=True)
    train(on_folder(path, 11), tmp_path / "straight")
    assert equal(newest(tmp_path / "run"), newest(tmp_path / "straight"))
    assert "elsewhere" in (tmp_path / "run/recipe.yaml").read_text()


def folder_of(path: Path, count: int) -> Path:
    path.mkdir()
    rng = torch.Generator().manual_seed(0)
    for i in range(count):
        pixels = torch.randint(256, (8, 8), generator=rng, dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(path / f"{i}.png")
    return path


def on_folder(path: Path, steps: int) -> Recipe:
    data = {"type": "folder", "path": str(path), "size": 8, "channels": 1}
    return replace(images_recipe(steps), data=data)


def test_a_start_that_is_not_there_is_told_before_data_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genkit.data.digits._embedded", lambda: pytest.fail("the data were decoded"))
    with pytest.raises(WeightsError, match="no weights at nowhere"):
        train(images_recipe(6), tmp_path / "run", start="nowhere")
    assert not (tmp_path / "run").exists()


def test_rows_that_are_known_are_counted_whatever_their_labels() -> None:
    from genkit.core.catalog import build

    digits = build({"type": "part", "data": {"type": "digits", "size": 8}, "stop": 40}, kind="data")
    others = build({"type": "part", "data": {"type": "digits", "size": 8}, "start": 40, "stop": 50}, kind="data")
    record = data_record(digits)
    for labels in (digits.labels, None, (digits.labels + 3) % 10):
        assert known_rows(record, replace(digits, labels=labels)) == 40
    assert known_rows(data_record(replace(digits, labels=None, classes=())), digits) == 40
    assert known_rows(record, others) == 0
    assert shared_rows(replace(digits, labels=None), digits) == 40 and shared_rows(others, digits) == 0

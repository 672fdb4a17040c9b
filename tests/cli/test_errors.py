"""Bad input gives exit code 2 and one line that names the key or file and what is accepted."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from benchmarks.small_recipes import read, shrunk
from tests.cli.console import refusal, run

Capture = pytest.CaptureFixture[str]


def spoiled(path: Path, where: str, value: Any) -> Path:
    """A recipe file with one key set."""
    tree = shrunk(read("digits/wgan_ratio_clipping"))
    *parents, last = where.split(".")
    node: Any = tree
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    node[int(last) if isinstance(node, list) else last] = value
    path.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("where", "value", "named"),
    [
        ("train.stepz", 3, ["train.stepz", "'steps'"]),
        ("system.critic_stepz", 3, ["system.critic_stepz", "'critic_steps'"]),
        ("system.critic.type", "dcgan_critik", ["system.critic.type", "'dcgan_critic'"]),
        ("system.generator.network", {"type": "r1"}, ["system.generator.network", "r1", "LatentNetwork"]),
        ("system.penalties.0", {"type": "wasserstein"}, ["system.penalties[0]", "Term"]),
        ("nonsense", 1, ["nonsense", "accepted"]),
        ("train.steps", "many", ["train.steps", "integer", "many"]),
        ("train.batch_size", [64], ["train.batch_size", "integer"]),
        ("train", "fast", ["train", "mapping"]),
        ("system", [1], ["system", "dictionary"]),
        ("train.steps", 0, ["train.steps", "greater than or equal to 1"]),
        ("train.ema", 1.5, ["train.ema", "less than 1"]),
        ("train.precision", "fp8", ["train.precision", "'no', 'bf16' or 'fp16'"]),
        ("train.seed", -1, ["train.seed", "greater than or equal to 0"]),
        ("optimizers.critic.lr", float("nan"), ["optimizers.critic.lr", "finite number"]),
        ("optimizers.critic.lr", float("inf"), ["optimizers.critic.lr", "finite number"]),
        ("system.critic.width", 10**9, ["system.critic.width", "2048"]),
        ("system.critic.size", 32, ["28", "32"]),
        ("system.rule.classifier.size", 32, ["rule.classifier", "28", "32"]),
        ("data.size", 32, ["data", "32", "28"]),
        ("data.split", "validation", ["data.split", "'test'"]),
        ("optimizers.judge", {"type": "adam", "lr": 1}, ["optimizers.judge", "critic"]),
        ("name", "../escape", ["name", "plain file name"]),
        ("train.accumulate", 3, ["train.accumulate", "3"]),
        ("train.mirror", "perhaps", ["train.mirror", "boolean"]),
    ],
)
def test_recipes(capsys: Capture, tmp_path: Path, where: str, value: Any, named: list[str]) -> None:
    path = spoiled(tmp_path / "spoiled.yaml", where, value)
    line = refusal(capsys, "train", path, "--out", tmp_path / "run")
    assert all(part in line for part in named), line
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no mapping"),
        ("- a\n- b\n", "no mapping"),
        ("name: [unclosed", "not valid YAML"),
        ("name: a\nname: b\n", "given twice"),
        ("name: !!python/object/apply:os.system [touch hacked]\n", "not valid YAML"),
        ("name: a\n\tdata: b\n", "line 2"),
        ("name: a\n", "missing key 'data'"),
        ("\x00\x01", "YAML"),
    ],
)
def test_text_that_is_no_recipe(capsys: Capture, tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    line = refusal(capsys, "train", path)
    assert named in line
    assert not Path("hacked").exists()


def test_missing_recipe_says_where_names_are(capsys: Capture) -> None:
    assert "genkit list recipes" in refusal(capsys, "train", "nowhere.yaml")


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("train.steps", "key.path=value"),
        ("=3", "key.path=value"),
        ("train.steps=[", "not a YAML value"),
        ("train.steps.more=3", "train.steps"),
        ("system.penalties.7.weight=3", "positions 0 to 0"),
    ],
)
def test_overrides(capsys: Capture, recipe: Path, override: str, named: str) -> None:
    assert named in refusal(capsys, "train", recipe, override)


def pictures(folder: Path, *sizes: int) -> Path:
    folder.mkdir()
    for i, size in enumerate(sizes):
        Image.new("L", (size, size), i).save(folder / f"{i}.png")
    return folder


def folder_recipe(tmp_path: Path, data: Path) -> Path:
    path = spoiled(tmp_path / "folder.yaml", "data", {"type": "folder", "path": str(data), "size": 28, "channels": 1})
    return path


def test_data_that_cannot_be_used(capsys: Capture, tmp_path: Path) -> None:
    empty = pictures(tmp_path / "empty")
    small = pictures(tmp_path / "small", 28, 30, 20)
    corrupt = pictures(tmp_path / "corrupt", *[28] * 20)
    (corrupt / "7.png").write_bytes((corrupt / "7.png").read_bytes()[:40])
    for folder, named in (
        (tmp_path / "missing", "missing does not exist"),
        (empty, "no images"),
        (small, "2.png"),
        (corrupt, "7.png"),
    ):
        assert named in refusal(capsys, "train", folder_recipe(tmp_path, folder), "--out", tmp_path / "run")


def test_samples(capsys: Capture, tmp_path: Path, finished: Path, points: Path) -> None:
    out = tmp_path / "samples"
    assert "-n" in refusal(capsys, "sample", finished, "-n", 0, "--out", out)
    assert "--seed" in refusal(capsys, "sample", finished, "--seed", -1, "--out", out)
    assert "0 to 9, got 10" in refusal(capsys, "sample", finished, "--label", 10, "--out", out)
    assert "--label" in refusal(capsys, "sample", finished, "--label", "three", "--out", out)
    assert "no condition 'label'" in refusal(capsys, "sample", points, "--label", 1, "--out", out)
    assert "no weights at" in refusal(capsys, "sample", tmp_path / "nowhere", "--out", out)
    assert "--out" in refusal(capsys, "sample", finished)
    assert not out.exists()


def test_output_that_cannot_be_written(capsys: Capture, tmp_path: Path, recipe: Path, finished: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert "taken" in refusal(capsys, "sample", finished, "-n", 2, "--out", taken / "inside")
    assert "taken" in refusal(capsys, "train", recipe, "--out", taken)
    assert "taken" in refusal(capsys, "train", recipe, "--out", taken / "inside")
    assert taken.read_text() == "a file"


def test_a_run_is_not_overwritten_nor_changed(capsys: Capture, recipe: Path, finished: Path) -> None:
    assert "--resume" in refusal(capsys, "train", recipe, "--out", finished)
    assert "train.seed: 0 -> 1" in refusal(capsys, "train", recipe, "train.seed=1", "--out", finished, "--resume")


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch hacked",)


def test_weights(capsys: Capture, tmp_path: Path, finished: Path) -> None:
    config = (finished / "weights" / "config.json").read_text()
    good = (finished / "weights" / "model.safetensors").read_bytes()

    def attempt(name: str, config: str, weights: bytes, file: str = "model.safetensors") -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(config)
        (folder / file).write_bytes(weights)
        return refusal(capsys, "sample", folder, "--out", tmp_path / "out")

    assert "pickles can run code" in attempt("pickle", config, pickle.dumps(Bomb()), "pytorch_model.bin")
    assert "damaged" in attempt("disguised", config, pickle.dumps(Bomb()))
    assert "damaged" in attempt("cut", config, good[: len(good) // 2])
    assert "unknown type" in attempt("type", '{"type": "os.system"}', good)
    assert "JSON" in attempt("json", "{", good)
    assert "does not fit" in attempt("other", config.replace('"width": 8', '"width": 9'), good)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Bomb()))
    assert "pickles can run code" in refusal(capsys, "sample", bare, "--out", tmp_path / "out")
    assert not Path("hacked").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["trian"], "'train'"),
        (["train"], "RECIPE"),
        (
            ["train", "x", "--fast"],
            "'--fast'. Values of the recipe are changed without dashes, as in train.steps=500. (see",
        ),
        (["train", "x", "--dryrun"], "Did you mean '--dry-run'?"),
        (["sample", "x", "--nn", "3"], "No such option '--nn'. (see"),
        (["list", "nothing"], "recipes"),
        (["info", "ratio_cliping"], "'ratio_clipping'"),
        (["cite", "nothing like it"], "genkit list"),
        (["--no-such"], "--no-such"),
    ],
)
def test_command_lines(capsys: Capture, arguments: list[str], named: str) -> None:
    assert named in refusal(capsys, *arguments)


def test_of_an_option_that_is_given_twice_nothing_is_dropped_silently(capsys: Capture, tmp_path: Path) -> None:
    line = ["sample", "digits-wgan-ratio-clipping", "-n", "2", "-n", "3", "--out", tmp_path / "b", "--seed", 1]
    ran = run(capsys, *line)
    assert ran.code == 0 and ran.err == "warning: -n is given more than once; the last one alone counts\n"
    assert len([*(tmp_path / "b").glob("*.png")]) == 3
    several = ["sample", "mnist-directions", "-n", "2", "--condition", "bold=1", "--condition", "wide=1", "--out"]
    ran = run(capsys, *several, tmp_path / "a")
    assert ran.code == 0 and ran.err == ""


@pytest.mark.parametrize(
    "line",
    [
        ["sample", "x", "--out", ""],
        ["sample", "x", "--out="],
        ["sample", "", "--out", "y"],
        ["evaluate", "x", "--against", "y", "--json", ""],
        ["evaluate", "x", "--against", "y", "--extractor-weights="],
        ["train", ""],
        ["train", "x", "--out", ""],
        ["stats", "x", "--out", ""],
        ["bench", "x", "--out", ""],
        ["outliers", "x", "--out", ""],
        ["import", "x", "y", "--config", "", "--out", "z"],
        ["export", "x", "--to", "diffusers", "--out", ""],
        ["info", ""],
    ],
)
def test_nothing_is_no_path(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    told = refusal(capsys, *line)
    at = line.index("") if "" in line else len(line)
    option = next((w for w in line if w.endswith("=")), line[at - 1]).rstrip("=")
    assert told.startswith(f"option {option} is empty" if option.startswith("-") else "an argument is empty")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["x" * 10**5, "x y " * 10**5, "a\nb\x1b[31m[/x]é\udcff"])
def test_a_message_quotes_no_more_than_a_line(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Path, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (
        [text],
        ["train", text],
        ["train", finished / "recipe.yaml", text],
        ["train", finished / "recipe.yaml", f"train.steps={text}"],
        ["sample", text, "--out", "out"],
        ["sample", finished, "--out", "out", "--solver", text],
        ["sample", finished, "--out", "out", "-n", text],
        ["evaluate", text, "--against", "digits"],
        ["evaluate", finished, "--against", text],
        ["evaluate", finished, "--against", "digits", "--metrics", text],
        ["evaluate", finished, "--against", "digits", "--extractor", text],
        ["list", text],
        ["info", text],
        ["import", text, "x", "--out", "out"],
        ["sample", "x", f"--{text}"],
    ):
        assert len(refusal(capsys, *line)) < 1300


def test_devices_are_neither_read_nor_written(capsys: Capture, tmp_path: Path, finished: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "regular file" in refusal(capsys, "bench", "/dev/zero")
    assert "no such file" in refusal(capsys, "import", "ppogan/generator", "x", "--config", "/dev/zero", "--out", "y")
    line = ["evaluate", finished, "--against", "digits", "--metrics", "fd", "-n", "10", "--json", tmp_path / "pipe"]
    assert "no regular file" in refusal(capsys, *line)
    line = ["outliers", "digits", "--out", "/dev/null"]
    assert "no regular file" in refusal(capsys, *line), "before anything is trained"
    assert (tmp_path / "pipe").is_fifo()


def test_processes_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "genkit", "train", "digits/wgan_ratio_clipping", "train.steps=none"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("genkit: train.steps")
    assert not list(tmp_path.iterdir())


def test_faults_of_genkit_are_one_line_too(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from genkit.cli import list_

    def fault(*_: Any) -> Any:
        raise RuntimeError("a\nfault")

    monkeypatch.setattr("genkit.core.others_code._packages", set())  # other tests register names of theirs

    monkeypatch.setattr(list_, "kinds", fault)
    ran = run(capsys, "list")
    assert ran.code == 1 and ran.err.count("\n") == 1 and "internal error: RuntimeError: a fault" in ran.err
    assert "Traceback" in run(capsys, "list", "--debug").err
    monkeypatch.setattr(list_, "kinds", lambda: (_ for _ in ()).throw(MemoryError))
    assert "out of memory" in refusal(capsys, "list")
    monkeypatch.setattr(list_, "kinds", lambda: (_ for _ in ()).throw(OSError(28, "No space left on device", "/x")))
    assert refusal(capsys, "list") == "/x: No space left on device"
    monkeypatch.setattr(list_, "kinds", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(capsys, "list").code == 130

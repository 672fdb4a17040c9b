"""A series of samples that is stopped and goes on, or that several processes share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from genkit.cli.series import SampleSeries
from genkit.core.crew import Crew
from genkit.core.generator import Generator
from genkit.images import pixels
from tests.cli.console import run

Capture = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def stop_after(images: int, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Interrupts the writing of an image when so many were written; the images that were."""
    made, written = pixels.png_bytes, list[object]()

    def interrupted(image: torch.Tensor) -> bytes:
        if len(written) == images:
            raise KeyboardInterrupt
        written.append(image)
        return made(image)

    monkeypatch.setattr(pixels, "png_bytes", interrupted)
    return written


def test_a_series_goes_on_where_it_stopped(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["sample", finished, "-n", 7, "--seed", 2, "--label", 3, "--batch-size", 2, "--out"]
    assert run(capsys, *line, tmp_path / "whole", "--grid").code == 0
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert run(capsys, *line, tmp_path / "parts").code == 130
    with monkeypatch.context() as patch:
        written = stop_after(100, patch)
        ran = run(capsys, *line, tmp_path / "parts", "--grid", "--batch-size", 3)
        assert ran.code == 0 and "3 images are there already; going on" in ran.out
        assert len(written) == 5, "four images and the grid"
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


@pytest.mark.parametrize("changed", [["--seed", 3], ["--label", 4], ["-n", 8], ["--truncated"]])
def test_another_series_starts_anew(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: list[object]
) -> None:
    line = ["sample", finished, "-n", 7, "--seed", 2, "--label", 3, "--out", tmp_path / "out"]
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert run(capsys, *line).code == 130
    if changed == ["--truncated"]:
        (tmp_path / "out" / ".series.json").write_text('{"key": ')
        changed = []
    said = run(capsys, *line, *changed).out
    assert "going on" not in said and f"in place of 3 images of another series in {tmp_path / 'out'}" in said
    assert run(capsys, *line, *changed, "--out", tmp_path / "again").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_images_of_another_command_are_no_part_of_a_series(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["sample", finished, "-n", 7, "--seed", 2, "--label", 3, "--out"]
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        assert run(capsys, *line, tmp_path / "out").code == 130
    assert run(capsys, *line, tmp_path / "out", "--to-seed", 5).code == 0
    assert "there already" not in run(capsys, *line, tmp_path / "out").out
    assert run(capsys, *line, tmp_path / "whole").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_one_of_several_processes_writes_a_way(
    capsys: Capture, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["sample", finished, "-n", 4, "--to-seed", 2, "--label", 3, "--out", tmp_path / "out"]
    monkeypatch.setenv("RANK", "1")
    ran = run(capsys, *line)
    assert ran.code == 0 and ran.out == "" and not (tmp_path / "out").exists()
    monkeypatch.setenv("RANK", "0")
    assert run(capsys, *line).code == 0 and len(list((tmp_path / "out").glob("*.png"))) == 4


def test_other_weights_are_another_series(finished: Path) -> None:
    generator = Generator.from_pretrained(finished)
    before = SampleSeries(generator, 3, 0, {}, 2).key
    assert SampleSeries(generator, 3, 0, {}, 5).key == before
    assert SampleSeries(generator, 3, 0, {"label": torch.zeros(3)}, 2).key != before
    with torch.no_grad():
        next(generator.parameters()).add_(1e-3)
    assert SampleSeries(generator, 3, 0, {}, 2).key != before


def on_two(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1"]
    command += ["--cpu", "--mixed_precision", "no", "--dynamo_backend", "no", "-m", "genkit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("kind", ["images", "points"])
def test_two_processes_write_what_one_writes(
    capsys: Capture, finished: Path, points: Path, tmp_path: Path, kind: str
) -> None:
    weights = {"images": finished, "points": points / "weights"}[kind]
    line = ["sample", str(weights), "-n", "7", "--seed", "1", "--batch-size", "2", "--out"]
    assert run(capsys, *line, tmp_path / "one", "--grid").code == 0
    ran = on_two(*line, str(tmp_path / "two"), "--grid")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("seed 1") == 1, "one process tells"
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_each_process_has_whole_batches() -> None:
    for numbers, shares in (
        (list(range(10)), [[0, 1, 2, 3, 8, 9], [4, 5, 6, 7]]),
        ([5, 9], [[4, 5, 6, 7], [8, 9]]),
        ([1, 2], [[0, 1, 2, 3], []]),
        ([], [[], []]),
    ):
        assert [Crew(rank, 2).whole_batches(numbers, 10, 4) for rank in range(2)] == shares


def test_two_processes_have_the_scores_of_one(capsys: Capture, finished: Path, tmp_path: Path) -> None:
    line = ["evaluate", str(finished), "--against", "digits/test", "-n", "150", "--metrics", "fd,pr,kd", "--json"]
    assert run(capsys, *line, tmp_path / "one.json").code == 0
    ran = on_two(*line, str(tmp_path / "two.json"), "--no-cache")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("n = 150") == 1, "one process tells"
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    for name in ("values", "standard_errors", "a", "against"):
        assert one[name] == two[name], name


def test_an_error_of_one_process_ends_all(finished: Path, tmp_path: Path) -> None:
    pixels.write_folder([torch.zeros(5, 1, 28, 28)], tmp_path / "pics")
    (tmp_path / "pics" / "bad.png").write_bytes(b"no picture")
    ran = on_two("evaluate", str(finished), "--against", str(tmp_path / "pics"), "-n", "10")
    assert ran.returncode and "bad.png" in ran.stderr and ran.stderr.count("genkit: ") == 1, ran.stderr

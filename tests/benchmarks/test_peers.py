"""The benchmark beside other packages, with stand-ins for them: budgets, resuming, what is missing, tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.peers.contestant import Arm, Batches, Contestant, Images
from benchmarks.peers.quality import Quality, result_file
from benchmarks.peers.table import shelf, tables
from genkit.evaluation.bench.spec import Bench

IMAGES = Images(torch.arange(8 * 784).view(8, 1, 28, 28).to(torch.uint8), {})
COLOUR = Images(torch.arange(8 * 3 * 784).view(8, 3, 28, 28).to(torch.uint8), {})
THEIRS = Arm("theirs", "GAN", __name__, "their-package", n=500)
OURS = replace(THEIRS, name="ours", package="", planned=True)
MISSING = replace(THEIRS, name="missing", builder="build_missing")
STEP = 30.0


class Walk(Contestant):
    """A random walk, one step of which takes half a minute by the clock of these tests."""

    about = "a walk"
    parameters = 1
    killed_at = 10**9
    built: list[float] = []  # noqa: RUF012
    taken = 0

    def __init__(self) -> None:
        self.layer = torch.nn.Linear(1, 1)
        self.parts = {"layer": self.layer}
        torch.nn.init.zeros_(self.layer.weight)

    def step(self) -> None:
        if self.steps == Walk.killed_at:
            raise KeyboardInterrupt
        self.layer.weight.data += torch.randn(())
        self.steps += 1
        Walk.taken += 1

    def sample(self, n: int) -> Tensor:
        torch.randn(())
        return IMAGES.like(self.layer.weight.detach().sigmoid().expand(n, 1, 28, 28))


def build(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    Walk.built.append(seconds)
    return Walk()


def build_missing(images: Images, seed: int, seconds: float, settings: str) -> Contestant:
    raise ImportError("No module named 'their_package'", name="their_package")


class Clock:
    """Half a minute from one look to the next."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += STEP
        return self.now


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Quality]:
    monkeypatch.setattr(Walk, "killed_at", 10**9)
    monkeypatch.setattr(Walk, "built", [])
    monkeypatch.setattr(Walk, "taken", 0)
    notes = list[str]()

    def made(out: Path) -> Quality:
        found = Quality(out, IMAGES, lambda x: {"fd": float(x.float().mean())}, notes.append, Clock())
        found.notes = notes  # type: ignore[attr-defined]
        return found

    return made


def read(out: Path, arm: Arm, minutes: float) -> str:
    return result_file(out, arm, minutes, 0).read_text()


def test_one_training_passes_through_all_budgets_unless_it_is_planned(tmp_path, bench):
    bench(tmp_path).run([THEIRS, OURS], [1, 2], [0])
    assert Walk.built == [120, 60, 120]
    assert '"steps": 2' in read(tmp_path, THEIRS, 1) and '"steps": 4' in read(tmp_path, THEIRS, 2)
    assert '"cpu_seconds": 120.0' in read(tmp_path, OURS, 2)


def test_a_killed_training_goes_on_to_the_same_result(tmp_path, bench, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    bench(whole).run([THEIRS], [1, 3], [0])
    monkeypatch.setattr(Walk, "killed_at", 5)
    with pytest.raises(KeyboardInterrupt):
        bench(killed).run([THEIRS], [1, 3], [0])
    assert not result_file(killed, THEIRS, 3, 0).exists()
    monkeypatch.setattr(Walk, "killed_at", 10**9)
    bench(killed).run([THEIRS], [1, 3], [0])
    assert read(killed, THEIRS, 3) == read(whole, THEIRS, 3)
    assert Walk.taken == 6 + 5 + 2 and not list((killed / "under way").iterdir())


def test_a_planned_training_begins_anew(tmp_path, bench, monkeypatch):
    monkeypatch.setattr(Walk, "killed_at", 5)
    with pytest.raises(KeyboardInterrupt):
        bench(tmp_path).run([OURS], [3], [0])
    monkeypatch.setattr(Walk, "killed_at", 10**9)
    bench(tmp_path).run([OURS], [3], [0])
    assert Walk.taken == 5 + 6 and result_file(tmp_path, OURS, 3, 0).is_file()


def test_what_is_measured_is_not_trained_again(tmp_path, bench):
    bench(tmp_path).run([THEIRS], [1], [0])
    bench(tmp_path).run([THEIRS], [1], [0])
    assert len(Walk.built) == 1


def test_a_missing_package_is_one_line_and_the_rest_goes_on(tmp_path, bench):
    made = bench(tmp_path)
    made.run([MISSING, THEIRS], [1], [0])
    assert made.notes[0] == "missing: skipped, their_package is not installed"
    assert result_file(tmp_path, THEIRS, 1, 0).is_file()


def test_samples_of_long_trainings_are_kept_for_a_bench(tmp_path, bench, monkeypatch):
    monkeypatch.setattr("benchmarks.peers.quality.SHELVED", 2_003)
    many = replace(THEIRS, name="many", n=2_000)
    bench(tmp_path).run([THEIRS, many], [1, 30], [0])
    made = Bench.from_dict(shelf(tmp_path, [THEIRS, many, MISSING], 0))
    (entry,) = made.entries
    assert (entry.name, entry.training, entry.cost) == ("many", "30 CPU-minutes", round(15 * 2_000 / 2_003, 3))
    assert len(list(Path(str(entry.source)).iterdir())) == 2_003 and made.n == 10_000


def test_the_table_has_means_deviations_ratios_and_what_was_not_run(tmp_path):
    for arm, values in ((OURS, (2.0, 4.0)), (THEIRS, (6.0, 6.0))):
        for seed, fd in enumerate(values):
            found = {"about": "a walk", "parameters": 1000, "steps": 5, "sampling_cpu_seconds": 1.0}
            text = json.dumps(found | {"scores": {"500": {"fd": fd}}})
            result_file(tmp_path, arm, 2, seed).write_text(text)
    lines = list(tables(tmp_path, [OURS, THEIRS, MISSING], [2, 8], [0, 1]))
    assert "| ours | 3.00 ± 1.41 | not run |" in lines
    assert "| theirs | 6.00 ± 0.00 (2.00) | not run |" in lines
    assert "| missing | not run | not run |" in lines
    assert "| theirs | a walk | 1,000 | 2: 5 | 2 |" in lines


@pytest.mark.parametrize("images", [IMAGES, COLOUR])
def test_padding_and_colour_come_off_again(images):
    x = next(Batches(images.x, 8, padded=True, colour=True))
    assert x.shape == (8, 3, 32, 32)
    assert sorted(images.like(x).flatten(1).tolist()) == sorted(images.x.flatten(1).tolist())

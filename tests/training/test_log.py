from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from genkit.core.errors import CheckpointError
from genkit.training.log import MetricsLog, Window, read_metrics


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {k: torch.tensor(v) for k, v in values.items()}


def test_a_window_gives_means_and_starts_again() -> None:
    window, accelerator = Window(), Accelerator(cpu=True)
    window.add(scalars(b=1.0, a=2.0))
    window.add(scalars(b=2.0))
    window.add(scalars(b=6.0))
    assert window.close(accelerator) == {"a": 2.0, "b": 3.0}
    assert window.close(accelerator) == {}


def test_a_window_survives_json_exactly() -> None:
    window, again, accelerator = Window(), Window(), Accelerator(cpu=True)
    for value in torch.rand(7, generator=torch.Generator().manual_seed(1)):
        window.add({"x": value})
    again.restore(json.loads(json.dumps(window.state())))
    for each in (window, again):
        each.add(scalars(x=0.1))
    assert window.close(accelerator) == again.close(accelerator)


def test_lines_and_rewinding(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (5, 10):
        log.write(step, {"loss": step / 3})
    log.write(10, {"eval/fd": 1.5})
    with open(log.path, "a") as file:
        file.write('{"step": 15, "los')
    rows = read_metrics(log.path)
    assert [row["step"] for row in rows] == [5, 10, 10] and rows[1]["loss"] == 10 / 3 and log.lines == 3
    again = MetricsLog(log.path)
    again.rewind(2)
    again.write(15, {"loss": 0.0})
    assert [row["step"] for row in read_metrics(log.path)] == [5, 10, 15] and again.lines == 3
    assert log.path.read_text().count("\n") == 3 and all(json.loads(line) for line in log.path.read_text().splitlines())


def test_rewinding_nothing_makes_an_empty_file(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.rewind(0)
    assert log.path.read_text() == "" and read_metrics(tmp_path / "none") == []


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(CheckpointError, match=r"cannot write .*metrics\.jsonl: Is a directory"):
        MetricsLog(tmp_path / "metrics.jsonl").write(1, {})


BAD = [
    "[" * 10**5,
    '{"step": ' + "9" * 6000 + "}",
    '{"step": "x"}',
    '{"step": 3, "loss": "low"}',
    '{"step": 3, "loss": [1]}',
    '{"loss": 1}',
    "null",
    '{"step": 3',
    "\x00",
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_passed_over_and_counts_as_a_line(bad: str, tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write(1, {"loss": 1.0})
    with open(log.path, "a", encoding="utf-8") as file:
        file.write(f"{bad}\n")
    for step in (3, 4):
        log.write(step, {"loss": float(step)})
    assert [row["step"] for row in read_metrics(log.path)] == [1, 3, 4]
    again = MetricsLog(log.path)
    again.rewind(3)
    assert [row["step"] for row in read_metrics(log.path)] == [1, 3] and again.lines == 2

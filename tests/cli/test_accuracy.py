"""genkit evaluate --metrics accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from genkit.classifiers.conv_classifier import Classifier
from genkit.cli.accuracy import _show
from genkit.gan.networks.mlp import MLPCritic
from tests.cli.console import refusal, run

SHIFTED = "{type: shifted, data: {type: digits, split: test, size: 8}, inverted: true}"


@pytest.fixture
def always_three(tmp_path: Path) -> Path:
    network = Classifier(8, width=2)
    with torch.no_grad():
        network.head.bias.zero_()[3] = 1e6
    return network.save_pretrained(tmp_path / "three")


def test_a_classifier_is_scored_on_a_written_spec(
    always_three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--against", SHIFTED, "--metrics", "accuracy", "-n", 1000, "--json", tmp_path / "scores.json")
    ran = run(capsys, "evaluate", always_three, *arguments)
    assert ran.code == 0 and "0.1000" in ran.out and "inverted" in ran.out
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["values"] == {"accuracy": pytest.approx(0.1)} and found["classes"]["right"]["3"] == 1
    assert "mean over classes 0.1000; always naming the commonest class would get 0.1" in ran.out
    assert [line.split() for line in ran.out.splitlines() if line.startswith("3 ")] == [["3", "1.0000", "100"]]


def test_of_many_classes_those_that_are_told_worst_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    right = {f"c{k:02}": 1 - k / 100 for k in range(25)}
    classes = {"n": dict.fromkeys(right, 4), "right": right}
    _show(
        "a on b",
        {
            "standard_errors": {},
            "values": {},
            "better": {},
            "balanced": 0.88,
            "commonest": 0.04,
            "classes": classes,
            "against": {"n": 100},
            "seed": 0,
            "seconds": 1.0,
        },
    )
    said = capsys.readouterr().out
    assert "c05 " in said and "c24 " in said and "c04 " not in said
    assert "the 20 of 25 classes that are told worst; --json FILE has them all" in said


def test_refuses(always_three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = ("--metrics", "accuracy")
    assert "no YAML mapping" in refusal(capsys, "evaluate", always_three, "--against", "{type", *accuracy)
    assert "[1, 28, 28], wanted [1, 8, 8]" in refusal(
        capsys, "evaluate", always_three, "--against", "digits", *accuracy
    )
    critic = MLPCritic(2, 4, 1).save_pretrained(tmp_path / "critic")
    assert "accuracy is of classifiers" in refusal(capsys, "evaluate", critic, "--against", SHIFTED, *accuracy)


def test_a_classifier_is_scored_by_accuracy_unasked(always_three: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "evaluate", always_three, "--against", SHIFTED)
    assert ran.code == 0 and "accuracy" in ran.out and "0.1000" in ran.out, ran

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.cli.main import main
from genkit.core.columns.values import Values
from genkit.data.dataset import DataSet
from genkit.data.domains import domains
from genkit.training import remarks as module
from genkit.training.recipe import Recipe
from genkit.training.remarks import cpu_has_bf16, remarks
from tests.training.tiny import points

X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2{}\n\nprocessor\t: 1\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd{}\n"


def told(recipe: Recipe, n: int = 50, device: str = "cpu") -> list[str]:
    return list(remarks(recipe, DataSet("some", torch.zeros(n, 2)), torch.device(device)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (X86.format(""), False),
        (X86.format(" avx512_bf16"), True),
        (X86.format(" amx_bf16"), True),
        (ARM.format(""), False),
        (ARM.format(" bf16"), True),
        ("processor : 0\n", None),
        (None, None),
    ],
)
def test_the_cpu_is_asked_for_bf16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, found: bool | None
) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    assert cpu_has_bf16() is found
    lines = told(points(train={"precision": "bf16"}))
    assert len(lines) == (found is False) and all("bf16" in line and "\n" not in line for line in lines)
    assert not told(points()) and not told(points(train={"precision": "bf16"}), device="cuda")


def test_a_batch_larger_than_the_data_is_told() -> None:
    recipe = points(train={"batch_size": 51})
    assert told(recipe, 51) == []
    (line,) = told(recipe, 50)
    assert line.startswith("train.batch_size: 51 is more than the 50 samples of some")


def test_what_a_mirrored_image_keeps_is_told() -> None:
    data = DataSet("some", torch.zeros(60, 2), attributes={"age": torch.arange(60.0)}, columns={"age": Values(0, 60)})
    (line,) = remarks(points(train={"mirror": True}), data, torch.device("cpu"))
    assert line == "train.mirror: a mirrored image keeps age of the one that it was made of"
    assert not list(remarks(points(), data, torch.device("cpu")))


def test_so_is_one_larger_than_the_target() -> None:
    source = DataSet("source", torch.zeros(60, 2), torch.arange(60) % 2)
    both = domains(source, DataSet("target", torch.zeros(50, 2)))
    (line,) = remarks(points(train={"batch_size": 51}), both, torch.device("cpu"))
    assert "50 samples of target" in line


@pytest.mark.parametrize("how", [["--dry-run"], ["--out", "run"]], ids=["dry run", "training"])
def test_the_command_line_tells(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(points(2, train={"batch_size": 401}).to_yaml())
    assert main(["train", "recipe.yaml", *how]) == 0
    assert capsys.readouterr().out.count("train.batch_size: 401 is more than the 50 samples of") == 1

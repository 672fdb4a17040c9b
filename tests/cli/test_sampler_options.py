"""Options that only some generators take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.console import refusal, run
from tests.contracts.specs import STYLEGAN2_G, seeded

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def stylegan2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = seeded({"type": "gan", "network": STYLEGAN2_G})
    return generator.save_pretrained(tmp_path_factory.mktemp("stylegan2"))


def test_truncation_changes_samples_and_one_does_not(capsys: Capture, stylegan2: Path, tmp_path: Path) -> None:
    made = {}
    for name, options in {"none": (), "one": ("--truncation", 1), "half": ("--truncation", 0.5)}.items():
        assert run(capsys, "sample", stylegan2, "-n", 3, "--out", tmp_path / name, *options).code == 0
        made[name] = [(tmp_path / name / f"{i:06d}.png").read_bytes() for i in range(3)]
    assert made["one"] == made["none"] != made["half"]


@pytest.mark.parametrize(
    ("weights", "options", "message"),
    [
        ("digits-wgan-ratio-clipping", ("--truncation", 0.5), "truncation is of w, and DCGANGenerator has none"),
        ("fashion-mnist-ddpm", ("--truncation", 0.5), "--truncation is for GANs with styles; this is a DDPM"),
        ("digits-wgan-ratio-clipping", ("--truncation", "nan"), "nan is no finite number"),
        ("stylegan2", ("--truncation", 0.5, "--steps", 3), "--steps is not for GANs; leave it out"),
        ("fashion-mnist-ddpm", ("--candidates", 3), "--candidates is for a VAEBM; this is a DDPM"),
    ],
)
def test_what_does_not_fit_is_one_line(
    weights: str, options: tuple[object, ...], message: str, capsys: Capture, stylegan2: Path, tmp_path: Path
) -> None:
    given = stylegan2 if weights == "stylegan2" else weights
    assert message in refusal(capsys, "sample", given, "-n", 2, "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()

"""Pairs and techniques that cannot be: exit code 2, one line, and nothing was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.small_recipes import read, shrunk
from tests.cli.console import refusal

Capture = pytest.CaptureFixture[str]

CLOSED_FORM = "{type: closed_form_weights, outlier_share: 0.5}"
BATCH_NORM = "{type: dcgan_critic, size: 16, channels: 1, norm: batch}"


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (
            ["system.generator.network.size=18"],
            "size: 3 stages make multiples of 4 pixels, got 18; change size or depths",
        ),
        (["system.critic.size=18"], "size: patches of 4 pixels do not fill 18; use a multiple of 4"),
        (["system.generator.network.size=32"], "the generator makes [1, 32, 32] but the critic judges [1, 16, 16]"),
        (["system.generator.network.windows=[0, 0, 32]"], "windows: 32 does not divide a stage of 16 tokens a side"),
        (["system.generator.network.windows=[0, 16]"], "windows: one a stage, 3 in all, or none; got 2"),
        (["system.generator.network.width=40"], "width: 2 pixel shuffles need a multiple of 16, got 40"),
        (["system.generator.network.heads=3"], "heads: 3 do not divide a stage's width of 32"),
        (["system.schedules.0.widths=[2, 3, 4, 256]"], "a half-width of 256 is not below the 256 tokens"),
        (["system.schedules.0.until=[9, 9, 10, 11]"], "until: the iterations must grow"),
        (["system.generator.network.low_resolution=false"], "low_resolution: true"),
        (
            ["system.view.policy=[translation, colour]"],
            "'translation', 'cutout', 'color', 'erase_ratio' or 'hue', got 'colour'",
        ),
        (["system.critic=" + BATCH_NORM], "gradient_penalty: the critic's batch norm mixes samples"),
        (["system.real_weighting=" + CLOSED_FORM], "0.5"),
        (["system.real_weighting=" + CLOSED_FORM.replace("outlier_share: 0.5", "rho: -1")], "-1"),
        (["data.size=28"], "data"),
    ],
)
def test_transgan(capsys: Capture, tmp_path: Path, overrides: list[str], named: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(shrunk(read("fashion_mnist/transgan"))), encoding="utf-8")
    line = refusal(capsys, "train", path, *overrides, "--out", tmp_path / "run")
    assert named in line
    assert not (tmp_path / "run" / "metrics.jsonl").exists()

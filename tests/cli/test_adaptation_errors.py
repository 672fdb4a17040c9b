"""Refusals of domain adaptation, from the command line: one line each, before training."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.small_recipes import read, shrunk
from tests.cli.console import refusal

SMALL = "{type: digits, split: test, size: 8}"
POINTS = "{type: gaussians8, n: 50}"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "adaptation.yaml"
    path.write_text(yaml.safe_dump(shrunk(read("mnist/domain_adaptation"))), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ([f"data.target={SMALL}"], "source samples are [1, 16, 16], target samples [1, 8, 8]"),
        (["data.source={type: gaussians8, n: 50, std: 0.1}", f"data.target={POINTS}"], "samples are [2], but the"),
        ([f"data={SMALL}", "system.classifier.size=8", "system.weighting.network.size=8"], "no target to adapt to"),
        (["data.target=null"], "target"),
        (["system.weighting.outlier_share=0.5"], "0 to below 0.5"),
        (["system.weighting.outlier_share=null", "system.weighting.rho=-0.1"], "rho -0.1"),
        (["data.target.share=0.5"], "less than 0.5, got 0.5"),
        (["system.classifier.classes=7"], "the classifier has 7 classes, but the data have 10"),
        (["system.critic.dims=7"], "set dims to 24"),
        (["system.critic=null"], "nothing to weigh without a critic"),
        (["system.weighting={type: softmax_weighting}"], "does not make a BallWeighting"),
        (["data.target.data.rotation=400"], "less than or equal to 180"),
    ],
)
def test_one_line_names_it(
    recipe: Path, overrides: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert named in refusal(capsys, "train", recipe, *overrides, "--out", tmp_path / "run")

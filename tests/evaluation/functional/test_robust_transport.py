"""Robust transport against the values of an interior-point solver on the authors' programme."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional.robust_transport import robust_wasserstein
from tests.shared import shared

pytest.importorskip("cvxpy", reason="the extra genkit[transport]")


@pytest.fixture(scope="module")
def fixture() -> Any:
    folder = shared("fixtures/robust_ot/discrete_rot")
    return load_file(folder / "io.safetensors"), json.loads((folder / "config.json").read_text())["table"]


VARIANTS: dict[str, dict[str, Any]] = {
    "two_sided": {},
    "one_sided_x": {"sides": "x"},
    "two_sided_euclidean": {"cost": "euclidean"},
    "repo_formulation_no_unit_mass": {"mass": "official"},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["clean", "outliers_first", "outliers_both"])
def test_values_are_the_fixtures(fixture: Any, name: str, variant: str) -> None:
    io, table = fixture
    for row in (row for row in table if row["set"] == name and "rho" in row):
        found = robust_wasserstein(io[f"{name}.x"], io[f"{name}.y"], row["rho"] / 2, **VARIANTS[variant])
        assert found.value == pytest.approx(row[variant], rel=1e-5)
        kind = {"two_sided": "two_sided", "one_sided_x": "one_sided"}.get(variant)
        if kind and row["rho"] < 0.3:
            want = io[f"{name}.rho{row['rho']}.{kind}.x_marginal"]
            torch.testing.assert_close(found.x_marginal, want, rtol=0, atol=1e-4)
        mass = row["repo_total_mass"] if "mass" in VARIANTS[variant] else 1.0
        assert found.plan.sum().item() == pytest.approx(mass, abs=1e-4)


def test_plain_transport_and_junk(fixture: Any) -> None:
    io, table = fixture
    for row in table:
        if "value" in row:
            cost = "euclidean" if "euclidean" in row["kind"] else "squared"
            found = robust_wasserstein(io[f"{row['set']}.x"], io[f"{row['set']}.y"], 0.0, cost=cost)
            assert found.value == pytest.approx(row["value"], rel=1e-5)
    junk = robust_wasserstein(io["outliers_first.x"], io["outliers_first.y"], 0.15, sides="x").x_weights
    assert junk[-2:].max() < 0.05 and junk[:-2].mean() > 1


@pytest.mark.parametrize("rho", [-0.1, float("nan")])
def test_refuses(rho: float) -> None:
    with pytest.raises(EvaluationError, match=f"rho {rho}: the radius"):
        robust_wasserstein(torch.zeros(3, 2), torch.zeros(3, 2), rho)

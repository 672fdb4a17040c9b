"""The recorded cases of discriminator rejection sampling and its relatives, shared/fixtures/drs."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from genkit.core.errors import GenkitError
from genkit.core.input_gradient import input_gradient
from genkit.posthoc.rejection.acceptance import EPS, Accepted, Shift, accept
from genkit.posthoc.rejection.calibration import Isotonic, Platt, reliability
from genkit.posthoc.rejection.latent_samplers import langevin_step, transport_step
from genkit.posthoc.rejection.metropolis_hastings import metropolis
from tests.shared import shared

FOLDER = shared("fixtures") / "drs"
CONFIG = json.loads((FOLDER / "config.json").read_text()) if FOLDER.is_dir() else {"cases": [], "errors": []}
CASES = {case["name"]: case for case in CONFIG["cases"]}
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="needs shared/fixtures/drs")


@pytest.fixture(scope="module")
def io() -> dict[str, Tensor]:
    return load_file(FOLDER / "io.safetensors")


def ran(io: dict[str, Tensor], case: dict[str, Any]) -> Accepted:
    inputs = case["inputs"]
    burn_in = io.get(f"{inputs}.burnin_logits")
    log_m = -math.inf if burn_in is None or "noburn" in case["name"] else burn_in.max().item()
    shift = Shift(gamma=case["gamma"]) if "gamma" in case else Shift(percentile=case["pct"])
    uniforms = io[f"{inputs}.uniforms"]
    return accept(io[f"{inputs}.logits"], uniforms, shift, log_m, case["eps"], case.get("bs"))


@pytest.mark.parametrize("name", CASES)
def test_algorithm_is_the_recorded_one(io: dict[str, Tensor], name: str) -> None:
    found = ran(io, CASES[name])
    assert found.kept.nonzero().squeeze(1).tolist() == io[f"{name}.accepted"].tolist()
    at_maximum = found.odds == found.odds.max()
    for mine, theirs, close in (
        (found.log_m, "log_m", 1e-9),
        (found.gamma, "gamma", 1e-9),
        (found.log_p, "log_p", 1e-9),
        (found.log_p.exp(), "p", 1e-9),
        (found.odds[~at_maximum], "f", 1e-9),
        (found.odds[at_maximum], "f", 1e-6),
    ):
        wanted = io[f"{name}.{theirs}"].double()
        if theirs == "f":
            wanted = wanted[~at_maximum] if close == 1e-9 else wanted[at_maximum]
        assert_close(mine, wanted, rtol=max(close, 1e-6 if name.startswith("core32") else 0), atol=1e-12)


def test_single_precision_decides_alike(io: dict[str, Tensor]) -> None:
    for name, case in CASES.items():
        if name.startswith("core_") and case["eps"] >= 1e-8:
            inputs = case["inputs"]
            single = {f"{inputs}.{k}": io[f"{inputs}.{k}"].float() for k in ("logits", "uniforms", "burnin_logits")}
            assert_close(ran(single, case).log_p.exp(), ran(io, case).log_p.exp(), rtol=0, atol=3e-4)


@pytest.mark.parametrize("case", [error["name"] for error in CONFIG["errors"]])
def test_logits_that_decide_nothing_are_refused(io: dict[str, Tensor], case: str) -> None:
    logits, burn_in = io[f"{case}.logits"], io[f"{case}.burnin_logits"]
    with pytest.raises(GenkitError, match=r"nan|inf"):
        accept(logits, torch.full_like(logits, 0.5), log_m=burn_in.max().item())


def test_log_m_is_carried_over(io: dict[str, Tensor]) -> None:
    split, size = CONFIG["carry"]["split"], CONFIG["carry"]["batch"]
    logits, uniforms = io["core.logits"], io["core.uniforms"]
    shift = Shift(gamma=CONFIG["carry"]["gamma"])
    first = accept(logits[:split], uniforms[:split], shift, -math.inf, CONFIG["carry"]["eps"], size)
    second = accept(logits[split : 2 * split], uniforms[split : 2 * split], shift, first.log_m[-1].item(), EPS, size)
    for name, found in (("carry_first", first), ("carry_second", second)):
        assert_close(found.log_m, io[f"{name}.log_m"], rtol=1e-9, atol=0)
        assert_close(found.log_p, io[f"{name}.log_p"], rtol=1e-9, atol=1e-12)
        assert found.kept.nonzero().squeeze(1).tolist() == io[f"{name}.accepted"].tolist()


def test_a_percentile_cancels_a_large_log_m(io: dict[str, Tensor]) -> None:
    logits = io["cancel.logits"]
    found = accept(logits, torch.zeros_like(logits), Shift(percentile=80), log_m=40.0)
    assert_close(found.log_p.exp(), io["cancel.p_logM40"], rtol=1e-9, atol=1e-12)
    assert_close(found.log_p.exp(), io["cancel.p_no_M"], rtol=1e-6, atol=1e-9)


def test_chains_are_the_recorded_ones(io: dict[str, Tensor]) -> None:
    found = metropolis(io["mh.logits"], io["mh.init_logits"], io["mh.uniforms"])
    assert_close(found.alpha, io["mh.alpha"], rtol=1e-9, atol=1e-12)
    assert torch.equal(found.path, io["mh.path"])
    assert torch.equal(found.selected, io["mh.selected"])
    assert found.given.min() >= 0 and (found.selected == -1).any()


@pytest.mark.parametrize("name", [case["name"] for case in CONFIG.get("analytic", [])])
def test_known_densities(io: dict[str, Tensor], name: str) -> None:
    """Where both densities are known: what is kept, how often, and that gamma = 0 samples the data's."""
    case = next(case for case in CONFIG["analytic"] if case["name"] == name)
    logits, uniforms = io[f"{name}.log_ratio"], io[f"{name}.uniforms"]
    for config in case.get("configs", [{"label": "", "gamma": 0.0} | case]):
        found = accept(logits, uniforms, Shift(gamma=config["gamma"]), case["log_m"], case.get("eps", EPS))
        label = f"{name}.{config['label']}." if config["label"] else f"{name}."
        recorded = io[f"{label}accepted"].tolist()
        assert len(set(found.kept.nonzero().squeeze(1).tolist()) ^ set(recorded)) <= 3
        if "expected_rate" in config:
            rate = found.kept.double().mean().item()
            assert abs(rate - config["expected_rate"]) < 5 * config["rate_sd"]
        if f"{label}cdf" in io:
            x = io[f"{name}.x"][found.kept]
            below = (x[:, None] <= io[f"{name}.cdf_grid"]).double().mean(0)
            assert (below - io[f"{label}cdf"]).abs().max() <= min(
                config["ks_vs_tabulated"], config["ks_crit_alpha1e_4"]
            )


def test_the_modes_of_a_known_mixture_become_equal(io: dict[str, Tensor]) -> None:
    (case,) = (case for case in CONFIG["analytic"] if case["name"] == "ana_mix2d")
    x, centres = io["ana_mix2d.x"], io["ana_mix2d.centres"]
    kept = accept(io["ana_mix2d.log_ratio"], io["ana_mix2d.uniforms"], Shift(gamma=0.0), case["log_m"]).kept
    nearest = torch.cdist(x, centres)
    for rows, when in ((torch.ones_like(kept), "before"), (kept, "after")):
        wanted = sorted(case[f"quadrant_counts_{when}"])
        found = nearest[rows].argmin(1).bincount(minlength=4).sort().values
        assert (found - torch.tensor(wanted)).abs().max() <= 3
        within = (nearest[rows].amin(1) < 4 * case["sigma"]).double().mean().item()
        assert within == pytest.approx(case[f"frac_within_4sigma_{when}"], abs=1e-3)
    chi2 = (nearest[kept].argmin(1).bincount(minlength=4) - kept.sum() / 4).square().sum() / (kept.sum() / 4)
    assert chi2 <= case["chi2_crit_alpha1e_4"] and chi2.item() == pytest.approx(case["chi2_3dof"], abs=0.2)


@pytest.fixture(scope="module")
def logits() -> Any:
    w = {name: tensor.double() for name, tensor in load_file(FOLDER / "weights.safetensors").items()}

    def of(z: Tensor) -> Tensor:
        x = torch.tanh(z @ w["g1"].T + w["g1b"]) @ w["g2"].T + w["g2b"]
        return (torch.tanh(x @ w["d1"].T + w["d1b"]) @ w["d2"].T + w["d2b"]).squeeze(1)

    return of


def test_latent_langevin_steps_are_the_recorded_ones(io: dict[str, Tensor], logits: Any) -> None:
    z = io["ddls.z"][0]
    assert_close(z - input_gradient(logits, z), io["ddls.grad_energy_step0"], rtol=1e-9, atol=1e-12)
    for noise, wanted, score in zip(io["ddls.noise"], io["ddls.z"][1:], io["ddls.logits"][1:], strict=True):
        z = langevin_step(z, logits, noise, CONFIG["ddls"]["eta"])
        assert_close(z, wanted, rtol=1e-9, atol=1e-12)
        assert_close(logits(z), score, rtol=1e-9, atol=1e-12)


def test_latent_transport_steps_are_the_recorded_ones(io: dict[str, Tensor], logits: Any) -> None:
    start = z = io["dot.z"][0]
    for wanted in io["dot.z"][1:]:
        z = transport_step(z, start, logits, CONFIG["dot"]["k_eff"], CONFIG["dot"]["lr"])
        assert_close(z, wanted, rtol=1e-9, atol=1e-12)


def test_calibrations_are_the_recorded_ones(io: dict[str, Tensor]) -> None:
    scores, real, grid = io["cal.scores"], io["cal.labels"].bool(), io["cal.grid"]
    platt, isotonic = Platt(), Isotonic()
    platt.fit(scores, real)
    assert_close(torch.stack([platt.scale, platt.shift]), io["cal.platt_ab"], rtol=1e-9, atol=1e-9)
    assert_close(platt(scores), io["cal.platt_logits"], rtol=1e-8, atol=1e-9)
    assert_close(platt(grid).sigmoid(), io["cal.platt_grid"], rtol=1e-8, atol=1e-9)
    recorded = CONFIG["calibration"]
    assert abs(reliability(scores, real).z - recorded["z_raw"]) < 1e-9
    assert abs(reliability(scores, real).bce - recorded["bce_raw"]) < 1e-9
    assert abs(reliability(platt(scores), real).bce - recorded["bce_platt"]) < 1e-9
    assert abs(reliability(platt(scores), real).z) < 1e-8
    isotonic.fit(scores, real)
    least = 1 / (len(scores) + 2)
    assert_close(isotonic(grid).sigmoid(), io["cal.isotonic_grid"].clamp(least, 1 - least), rtol=1e-9, atol=1e-9)
    unclipped = Isotonic(clip=1e-14)
    unclipped.fit(scores, real)
    assert_close(unclipped(grid).sigmoid(), io["cal.isotonic_grid"], rtol=1e-9, atol=1e-9)
    assert unclipped(grid).abs().max() == pytest.approx(math.log(1e14), rel=1e-3)

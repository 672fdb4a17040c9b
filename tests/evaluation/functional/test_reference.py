"""Every metric against an independent float64 implementation's values."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from genkit.evaluation.functional import (
    authenticity,
    density_coverage,
    frechet_distance,
    frechet_distance_from_features,
    inception_score,
    kernel_distance,
    kernel_distance_subsets,
    precision_recall,
    vendi_score,
)
from tests.shared import SHARED, shared

EVAL = SHARED / "fixtures" / "eval"
REFERENCE = json.loads((EVAL / "reference.json").read_text()) if (EVAL / "reference.json").exists() else {}
CASES = sorted(REFERENCE.get("features", ()))
DEFICIENT = {"n40_d64_fewer_samples_than_dims", "n100_d64_rankdef", "collapsed_n300_d16", "ties_n300_d3"}
pytestmark = pytest.mark.skipif(not REFERENCE, reason=f"{EVAL} is absent; set GENKIT_SHARED")


@pytest.fixture(params=CASES)
def case(request):
    with np.load(shared("fixtures", "eval", f"features_{request.param}.npz")) as arrays:
        return request.param, arrays["real"], arrays["fake"], REFERENCE["features"][request.param]


def moments(x):
    x = x.astype(np.float64)
    return x.mean(0), np.cov(x, rowvar=False)


def test_frechet_distance_from_features(case):
    name, real, fake, expected = case
    tolerance = {"abs": 1e-6} if name in DEFICIENT else {"rel": 1e-9, "abs": 1e-10}
    value = frechet_distance_from_features(real, fake)
    assert value == pytest.approx(expected["fid"], **tolerance)
    assert isinstance(value, float) and value >= 0


def test_frechet_distance_from_moments(case):
    name, real, fake, expected = case
    tolerance = {"abs": 1e-6} if name in DEFICIENT else {"rel": 1e-9, "abs": 1e-10}
    assert frechet_distance(*moments(real), *moments(fake)) == pytest.approx(expected["fid"], **tolerance)


def test_frechet_distance_is_nearly_exact_on_deficient_sets(case):
    _, real, fake, expected = case
    assert frechet_distance_from_features(real, fake) == pytest.approx(expected["fid"], abs=1e-9, rel=1e-9)
    assert frechet_distance(*moments(real), *moments(fake)) == pytest.approx(expected["fid"], abs=1e-7, rel=1e-9)


@pytest.mark.parametrize("name", sorted(REFERENCE.get("gaussian_stats", ())))
def test_frechet_distance_of_closed_forms(name):
    with np.load(shared("fixtures", "eval", "gaussian_stats.npz")) as arrays:
        parts = [arrays[f"{name}.{key}"] for key in ("mu1", "sigma1", "mu2", "sigma2")]
    assert frechet_distance(*parts) == pytest.approx(REFERENCE["gaussian_stats"][name]["fid"], rel=1e-9, abs=1e-9)


def test_identical_sets_are_at_distance_zero(case):
    _, real, _, _ = case
    assert -1e-9 <= frechet_distance_from_features(real, real) < 1e-9 * max(1, np.square(real).max())
    assert -1e-9 <= frechet_distance(*moments(real), *moments(real)) < 1e-9 * max(1, np.square(real).max())


def test_kernel_distance(case):
    name, real, fake, expected = case
    relative = 1e-6 if name.startswith("offset") else 1e-9
    assert kernel_distance(real, fake) == pytest.approx(expected["kid_unbiased_full"], rel=relative)


@pytest.mark.parametrize("size", [50, 100])
def test_subset_kernel_distance_scatters_around_its_expectation(case, size):
    _, real, fake, expected = case
    if str(size) not in expected.get("kid_subset", {}):
        pytest.skip("no reference for this size")
    subset = expected["kid_subset"][str(size)]
    mean, deviation = kernel_distance_subsets(real, fake, 100, size, torch.Generator().manual_seed(0))
    assert abs(mean - subset["expectation"]) < 4 * subset["std_one_subset"] / 10
    assert deviation == pytest.approx(subset["std_one_subset"], rel=0.35)


def test_neighbour_scores(case):
    _, real, fake, expected = case
    for k in (3, 5):
        wanted = expected[f"pr_k{k}_le"]
        assert precision_recall(real, fake, k) == pytest.approx((wanted["precision"], wanted["recall"]), abs=1e-12)
        assert density_coverage(real, fake, k) == pytest.approx((wanted["density"], wanted["coverage"]), abs=1e-12)
    assert authenticity(real, fake) == pytest.approx(expected["authpct"], abs=1e-12)


def test_vendi_score(case):
    _, real, fake, expected = case
    assert vendi_score(real) == pytest.approx(expected["vendi_real"], rel=1e-8)
    assert vendi_score(fake) == pytest.approx(expected["vendi_fake"], rel=1e-8)


@pytest.mark.parametrize("name", sorted(REFERENCE.get("inception_score", ())))
@pytest.mark.parametrize("splits", [1, 5, 10])
def test_inception_score(name, splits):
    expected = REFERENCE["inception_score"][name][f"splits{splits}"]
    with np.load(shared("fixtures", "eval", "logits.npz")) as arrays:
        mean, deviation = inception_score(arrays[name], splits)
    assert mean == pytest.approx(expected["mean"], rel=1e-9)
    assert deviation == pytest.approx(expected["std_ddof0"], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_of_equally_near_reals_a_fake_is_compared_with_the_first(seed):
    drawn = np.random.default_rng(seed)
    real, fake = (drawn.integers(0, 6, (300, 3)).astype(float) for _ in range(2))
    apart = np.square(fake[:, None] - real).sum(2)
    closest = apart.argmin(1)
    own = np.square(real[:, None] - real).sum(2) + np.diag(np.full(300, np.inf))
    expected = 100 * (apart[np.arange(300), closest] > own.min(1)[closest]).mean()
    assert 0 < expected < 100
    assert authenticity(real, fake) == pytest.approx(expected, abs=1e-12)

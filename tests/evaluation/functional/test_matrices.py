"""Input that cannot be scored is refused in one line, before any linear algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation import functional as F

X, Y = np.random.default_rng(0).normal(size=(2, 30, 4))
PAIRS = [
    F.frechet_distance_from_features,
    F.kernel_distance,
    F.precision_recall,
    F.density_coverage,
    F.authenticity,
    F.frechet_standard_error,
    F.kernel_standard_error,
]


@pytest.mark.parametrize("metric", PAIRS)
def test_numbers_whose_powers_overflow_are_refused_and_others_give_a_figure(metric):
    for a, b in ((X * 1e60, X), (X, X * 1e60)):
        with pytest.raises(EvaluationError, match=r"at most 1e\+25 in size, got \de\+60; scale them down"):
            metric(a, b)
    assert np.isfinite(np.asarray(metric(X * 1e23, X[::-1] * 1e24), dtype=float)).all()


@pytest.mark.parametrize("metric", PAIRS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite(metric, bad):
    broken = X.copy()
    broken[3, 2] = bad
    with pytest.raises(EvaluationError, match=r"finite.*\[3, 2\]"):
        metric(X, broken)
    with pytest.raises(EvaluationError, match=r"finite.*\[3, 2\]"):
        metric(broken, X)


@pytest.mark.parametrize("metric", PAIRS)
def test_one_sample(metric):
    with pytest.raises(EvaluationError, match="got 1 sample"):
        metric(X, Y[:1])


@pytest.mark.parametrize("metric", PAIRS)
def test_dimensions_that_differ(metric):
    with pytest.raises(EvaluationError, match="4 dimensions and fake features 3"):
        metric(X, Y[:, :3])


@pytest.mark.parametrize("metric", PAIRS)
@pytest.mark.parametrize("wrong", [X[0], X[None], "text", [["a", "b"]], X + 1j, X[:, :0], [[1.0], [1.0, 2.0]]])
def test_what_is_no_matrix(metric, wrong):
    with pytest.raises(EvaluationError):
        metric(wrong, Y)


@pytest.mark.parametrize("k", [3, 5])
def test_fewer_samples_than_k_plus_2(k):
    for metric in (F.precision_recall, F.density_coverage):
        with pytest.raises(EvaluationError, match=f"at least {k + 2} are needed"):
            metric(X, Y[: k + 1], k)
        metric(X, Y[: k + 2], k)


def test_no_neighbours():
    with pytest.raises(EvaluationError, match="at least 1"):
        F.precision_recall(X, Y, 0)


def test_fewer_samples_than_splits():
    with pytest.raises(EvaluationError, match="at least 31 are needed for 31 splits"):
        F.inception_score(X, 31)
    with pytest.raises(EvaluationError, match="at least 1 split"):
        F.inception_score(X, 0)


def test_fewer_samples_than_a_subset():
    with pytest.raises(EvaluationError, match="needed for subsets of 31"):
        F.kernel_distance_subsets(X, Y, 10, 31)


def test_gaussians_that_are_none():
    mu, sigma = np.zeros(2), np.eye(2)
    with pytest.raises(EvaluationError, match="dimensions"):
        F.frechet_distance(mu, sigma, np.zeros(3), np.eye(3))
    with pytest.raises(EvaluationError, match="covariance"):
        F.frechet_distance(mu, np.eye(3), mu, sigma)
    with pytest.raises(EvaluationError, match="symmetric"):
        F.frechet_distance(mu, np.array([[1.0, 0.5], [0.0, 1.0]]), mu, sigma)
    for indefinite in ([[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, -1.0]]):
        with pytest.raises(EvaluationError, match="negative eigenvalues"):
            F.frechet_distance(mu, np.array(indefinite), mu, sigma)
    with pytest.raises(EvaluationError, match="finite"):
        F.frechet_distance(mu, np.full((2, 2), np.nan), mu, sigma)


def test_zero_feature_has_no_cosine():
    with pytest.raises(EvaluationError, match="row 1"):
        F.vendi_score([[1.0, 0.0], [0.0, 0.0]])


def test_arrays_tensors_and_lists_agree():
    for metric in PAIRS:
        expected = metric(X, Y)
        assert metric(torch.tensor(X, requires_grad=True), Y.tolist()) == expected


def test_half_precision_features_are_scored_in_float64():
    x, y = torch.tensor(X).bfloat16(), torch.tensor(Y).bfloat16()
    assert F.frechet_distance_from_features(x, y) == F.frechet_distance_from_features(x.double(), y.double())

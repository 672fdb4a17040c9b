"""Standard errors against the spread of repeated draws."""

from __future__ import annotations

import pytest
import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional import (
    frechet_distance_from_features,
    frechet_standard_error,
    inception_score,
    inception_standard_error,
    kernel_distance,
    kernel_standard_error,
    precision_recall,
    subset_standard_error,
    vendi_score,
)
from genkit.evaluation.functional.standard_error import frechet_standard_error_to, potentials

DRAWS = 120


def sets(seed: int, n: int = 200, d: int = 6):
    rng = torch.Generator().manual_seed(seed)
    mix = torch.linspace(0.5, 1.5, d)
    return torch.randn(n, d, generator=rng), 0.4 + torch.randn(n, d, generator=rng) * mix


def spread(score, n=200, d=6):
    return torch.tensor([score(*sets(seed, n, d)) for seed in range(DRAWS)]).double().std().item()


def typical(error, n=200, d=6):
    return torch.tensor([error(*sets(seed, n, d)) for seed in range(10)]).double().mean().item()


@pytest.mark.parametrize(("n", "d"), [(200, 6), (40, 60)])
def test_frechet(n, d):
    expected = spread(frechet_distance_from_features, n, d)
    assert typical(frechet_standard_error, n, d) == pytest.approx(expected, rel=0.25)


def test_frechet_to_statistics_counts_only_the_fakes():
    real, _ = sets(0, 5000)
    mu, sigma = real.double().mean(0), real.double().T.cov()
    values = [frechet_distance_from_features(real, sets(seed)[1]) for seed in range(DRAWS)]
    error = frechet_standard_error_to(mu, sigma, sets(1)[1])
    assert error == pytest.approx(torch.tensor(values).std().item(), rel=0.25)


def test_frechet_to_statistics_of_n_samples_counts_them_too():
    x, y = torch.randn(300, 6).double(), torch.randn(5000, 6).double() + 0.5
    exact = frechet_standard_error_to(x.mean(0), x.T.cov(), y)
    counted = frechet_standard_error_to(x.mean(0), x.T.cov(), y, 300)
    assert counted == pytest.approx(frechet_standard_error(x, y), rel=0.15) and counted > 3 * exact


def test_folds_do_not_depend_on_the_order_of_rows():
    """Ten classes in turn would be a fold each."""
    x = torch.randn(500, 3) + 10 * (torch.arange(500) % 10)[:, None]
    (turned,) = subset_standard_error(lambda rows: (rows.mean().item(),), x)
    (mixed,) = subset_standard_error(lambda rows: (rows.mean().item(),), x[torch.randperm(500)])
    assert 0.4 < turned / mixed < 2.5


def test_potentials_are_the_derivative_of_the_distance():
    """Moving weight to one sample changes the distance at the rate of its potential less the mean potential."""
    from genkit.evaluation.functional import frechet_distance

    real, fake = (s.double() for s in sets(0, 50))
    mu, sigma = real.mean(0), real.T.cov()
    row, step = fake[7] - fake.mean(0), 1e-6
    cov = fake.T.cov()

    def distance(weight):
        mean = fake.mean(0) + weight * row
        return frechet_distance(mu, sigma, mean, (1 - weight) * cov + weight * (1 - weight) * torch.outer(row, row))

    slope = (distance(step) - distance(0)) / step
    towards = potentials(fake, mu, torch.linalg.cholesky(sigma))
    cov_mean = (towards * 49 / 50).mean() * 50 / 49
    assert slope == pytest.approx((towards[7] - cov_mean * 50 / 49).item(), rel=0.02)


def test_kernel():
    assert typical(kernel_standard_error) == pytest.approx(spread(kernel_distance), rel=0.25)


def test_inception():
    def score(_, fake):
        return inception_score(3 * fake)[0]

    assert typical(lambda _, fake: inception_standard_error(3 * fake)) == pytest.approx(spread(score), rel=0.25)


def test_precision_and_recall():
    errors = [subset_standard_error(precision_recall, *sets(seed), least=5) for seed in range(20)]
    typical_errors = torch.tensor(errors).double().square().mean(0).sqrt()
    values = torch.tensor([precision_recall(*sets(seed)) for seed in range(DRAWS)]).double().std(0)
    assert ((typical_errors / values - 1).abs() < 0.6).all(), (typical_errors, values)


def test_vendi():
    errors = [subset_standard_error(lambda x: (vendi_score(x),), sets(seed)[1])[0] for seed in range(20)]
    values = torch.tensor([vendi_score(sets(seed)[1]) for seed in range(DRAWS)]).std().item()
    assert 0.5 * values < sum(errors) / len(errors) < 3 * values


def test_too_few_samples_for_folds():
    with pytest.raises(EvaluationError, match="at least 10 samples"):
        subset_standard_error(precision_recall, *sets(0, 9), least=5)

"""Every score of the catalogue has words, and they say which way it goes."""

from __future__ import annotations

import math

import pytest

from genkit.core.table import CATALOG
from genkit.evaluation.metrics.metric import Scale
from genkit.evaluation.metrics.scores_by_name import metric_named
from genkit.evaluation.verdicts import DISTANCES, FAR, SHARES, WORST, verdict

SCALES = [scale for name in CATALOG["metrics"] for scale in metric_named(name).scores]
GOOD = {"is": 8.0, "vendi": 40.0, "modes": 25.0, "authenticity": 90.0}


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)
def test_every_score_has_words_for_the_best_the_worst_and_what_is_between(scale: Scale) -> None:
    assert (scale.name in DISTANCES) == (scale.better == "lower") and (scale.name in SHARES) != (
        scale.name in DISTANCES
    )
    real = 2.0 if scale.better == "lower" else GOOD.get(scale.name, 0.8)
    bad = 5 * real if scale.better == "lower" else max(real / 5, 1.01 * WORST.get(scale.name, 0))
    told = [verdict(scale.name, value, floor) for floor in (None, real) for value in (real, bad)]
    assert len(set(told[2:])) == 2 and all(10 < len(line) < 110 for line in told)
    assert f"{real:.3g}" in told[2] and f"{real:.3g}" in told[3]
    if scale.better == "higher":
        assert "far less than real samples" in told[3] and "far less" not in told[2]
        worst = verdict(scale.name, WORST.get(scale.name, 0.0), real)
        assert worst == SHARES[scale.name].at_worst and worst not in told
    else:
        assert "as near to the data as real" in told[2] and "5 times what real samples get (2)" in told[3]
        assert verdict(scale.name, 2 * FAR * real, real).startswith("far from the data: 20 times")
    assert "not a number" in verdict(scale.name, math.nan, real)


def test_the_words_of_some_values() -> None:
    assert verdict("recall", 0.0, 0.9) == "the samples cover none of the data"
    assert (
        verdict("recall", 0.34, 0.81)
        == "the samples cover 34 % of the data; far less than real samples, which get 0.81"
    )
    assert verdict("precision", 0.004) == "0.4 % of the samples lie among the data"
    assert verdict("kd", 0.001, -0.002) == "further from the data than real samples, which get -0.002"
    assert verdict("kd", -0.003, 0.002).startswith("as near to the data")
    assert verdict("of_a_plugin", 3.0, 2.0, "lower") == "worse than real samples, which get 2"
    assert verdict("of_a_plugin", 3.0, 2.0, "higher") == "as good as real samples, which get 2"
    assert verdict("of_a_plugin", 3.0) == ""


def test_few_samples_get_no_verdict() -> None:
    for score in ("fd", "recall"):
        assert verdict(score, 0.0, n=99) == "99 samples are too few for a verdict; take 100 or more"
        assert verdict(score, 0.0, n=100) == verdict(score, 0.0)


def test_a_distance_of_more_samples_is_not_divided_by_one_of_fewer() -> None:
    said = verdict("fd", 16.8, 20.3, "lower", 300, 150)
    assert said == "0 would be no difference; real samples get 20.3, 150 of each, and fewer samples get more"
    assert verdict("fd", 16.8, 20.3, "lower", 300, 300).startswith("as near to the data as real samples")
    assert "2 times what real samples get" in verdict("kd", 0.002, 0.001, "lower", 300, 150)


def test_a_difference_that_scatter_cannot_have_made_is_one() -> None:
    assert verdict("fd", 145.9, 112.0, "lower", 500, 500, 4.3) == "1.3 times what real samples get (112)"
    assert verdict("fd", 145.9, 112.0, "lower", 500, 500).startswith("as near to the data as real samples")


def test_what_scatter_may_have_made_is_not_called_a_difference() -> None:
    for value in (0.003, -0.001):
        told = verdict("kd", value, 0.0005, "lower", 500, 500, error=0.002)
        assert told.startswith("no further from the data, as far as 0.002 of scatter can tell, than real samples"), told
    assert "times what real samples get" in verdict("kd", 0.03, 0.0005, "lower", 500, 500, error=0.002)
    assert verdict("fd", 3.0, 0.1, error=0.2).startswith("far from the data")


def test_a_floor_of_data_that_hold_something_else_is_no_floor() -> None:
    told = verdict("fd", 1.19, 85.3, "lower", 10_000, 10_000)
    assert told == "nearer to the reference than the training data, which hold something else (85.3)"
    assert verdict("fd", 0.05, 0.1, "lower", 10_000, 10_000).startswith("as near to the data as real samples")

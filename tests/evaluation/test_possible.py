"""Scores that cannot be are told before anything is drawn; one of them costs no other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from genkit.core.errors import EvaluationError
from genkit.data.dataset import DataSet
from genkit.evaluation import evaluate, statistics
from genkit.evaluation.metrics.kernel import KernelDistance
from genkit.evaluation.metrics.metric import Estimate
from genkit.evaluation.possible import Wanted
from genkit.evaluation.sources import of_batches
from tests.evaluation.test_scoring import Mean, Noise, pictures


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr(Noise, "_sample", lambda *_: pytest.fail("samples were drawn"))


@pytest.mark.parametrize(
    ("metrics", "n", "message"),
    [
        (["fd", "kds"], 100, "metric kds: the number of samples: got 100 samples, at least 1000 are needed; kd takes"),
        (["dc"], 5, "metric dc: .*got 5 samples, at least 7"),
        (["pr"], 4, "metric pr: .*got 4 samples, at least 5"),
        (["authenticity"], 2, "at least 3"),
        (["pr", "dc"], 30, "metric dc: few: got 6 samples, at least 7"),
        (["is"], 30, "metric is: the extractor gives features alone"),
        (["fdd"], 30, "no metric 'fdd'; did you mean 'fd'"),
    ],
)
def test_what_was_asked_for_by_name_is_refused_at_once(undrawn, metrics, n, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate(Noise(), DataSet("few", pictures(6)), metrics, n, "efficientnet-lite0")


@pytest.mark.parametrize(
    ("asked", "names", "line"),
    [
        ("fid", ["fd"], "fid is given as fd, and called FID with the published Inception weights"),
        ("FID", ["fd"], "FID is given as fd, and called FID with"),
        ("kid", ["kd"], "kid is given as kd, and called KID with"),
        ("recall", ["precision", "recall"], "recall is a score of pr, which is given whole"),
    ],
)
def test_published_names_and_scores_find_their_metric(asked, names, line):
    found = evaluate(pictures(8), DataSet("real", pictures(9, seed=1)), [asked], 8, Mean())
    assert list(found) == names and found.warnings[0].startswith(line), found.warnings
    if "fd" in found:
        with pytest.warns(match="fid is given as fd"):
            assert found["fid"] == found["fd"]
    else:
        with pytest.raises(EvaluationError, match=r"no score 'fid' here"):
            found["fid"]


def test_names_of_metrics_are_no_other_names():
    assert Wanted(["fd", "is", "modes"], 20).lines == []
    assert Wanted("precision,recall,pr", 20).names == ("pr",)
    assert (found := Wanted("FD, kd,", 20)).names == ("fd", "kd") and found.lines == []
    with pytest.raises(EvaluationError, match="no metrics were asked for"):
        Wanted([""], 20)
    with pytest.raises(EvaluationError, match="no metric None"):
        Wanted([None], 20)


def test_statistics_serve_the_frechet_distance_alone(undrawn, tmp_path):
    statistics(DataSet("real", pictures(30)), extractor=Mean())[0].save(tmp_path / "s.npz")
    with pytest.raises(EvaluationError, match=r"metric pr: real holds a mean and a covariance only"):
        evaluate(Noise(), tmp_path / "s.npz", ["fd", "pr"], 20, Mean())
    with pytest.raises(EvaluationError, match="real holds statistics of extractor Mean"):
        evaluate(Noise(), tmp_path / "s.npz", ["fd"], 20, nn.Flatten())
    found = evaluate(pictures(20), tmp_path / "s.npz", None, 20, Mean())
    assert list(found) == ["fd"] and set(found.missing) == {"kd", "pr"}
    assert found.warnings[0].startswith("without kd, pr: real holds a mean")


def test_both_sides_are_looked_at_before_either_is_opened(undrawn, monkeypatch):
    from genkit.data import digits

    monkeypatch.setattr(digits, "_embedded", lambda: pytest.fail("data were decoded"))
    for a, b, message in (
        ("digits", "/no/where.npz", "the reference: /no/where.npz does not exist"),
        ("digits", "digits/tset", r"the reference\.split"),
        ("digitz", "digits", "the set to score: .*did you mean 'digits'"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluate(a, b)
    with pytest.raises(EvaluationError, match="no extractor"):
        evaluate("digits", "digits", extractor="no such")


def test_points_and_images_are_not_compared(undrawn):
    with pytest.raises(EvaluationError, match=r"holds images, but extractor points takes points"):
        evaluate(Noise(), {"type": "swiss_roll", "n": 20}, n=20)
    with pytest.raises(EvaluationError, match="takes images"):
        evaluate(Noise(), {"type": "swiss_roll", "n": 20}, n=20, extractor="efficientnet-lite0")
    three = DataSet("three", torch.zeros(20, 3))
    with pytest.raises(EvaluationError, match=r"different dimensions .*\[2\].*\[3\]|\[3\].*\[2\]"):
        evaluate(three, {"type": "swiss_roll", "n": 20}, n=20)


class Black(nn.Module):
    """Features of zeros for dark images, which have no cosine."""

    def forward(self, x):
        return Mean()(x) * (x.mean((1, 2, 3)) > -1)[:, None]


def test_one_that_turns_out_not_to_be_computable_costs_no_other():
    dark = torch.cat([pictures(19), torch.zeros(1, 1, 8, 8, dtype=torch.uint8)])
    found = evaluate(dark, DataSet("real", pictures(30)), ["vendi", "fd", "is"], 30, Black())
    assert list(found) == ["fd"] and math.isfinite(found["fd"])
    assert "feature of zeros" in found.to_json()["missing"]["vendi"]
    assert "features alone" in found.missing["is"]
    assert [w for w in found.warnings if w.startswith("without vendi: ")]
    with pytest.raises(EvaluationError, match=r"metric vendi: .*feature of zeros"):
        evaluate(dark, DataSet("real", pictures(30)), ["vendi"], 30, Black())


def test_too_few_batches_cost_only_what_needs_more():
    found = evaluate(of_batches([pictures(6)], "stream"), pictures(30), ["fd", "dc"], 30, Mean())
    assert list(found) == ["fd"] and "at least 7" in found.missing["dc"]


def test_what_is_not_finite_is_no_score(monkeypatch):
    monkeypatch.setattr(KernelDistance, "__call__", lambda *_: {"kd": Estimate(math.nan)})
    found = evaluate(pictures(20), pictures(30), None, 20, Mean())
    assert "kd" not in found and "nan" in found.missing["kd"] and "fd" in found


def test_the_default_is_what_there_can_be():
    assert Wanted(None, 4).names == ("fd", "kd") and "at least 5" in Wanted(None, 4).missing["pr"]

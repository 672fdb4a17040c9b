from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.columns.column import Column
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.errors import EvaluationError, RecipeError
from genkit.data.dataset import DataSet
from genkit.evaluation.attribute_calibration import Calibration, calibrate, distances, embeddings_of
from genkit.evaluation.attributes import attribute_errors, in_words
from genkit.evaluation.judges import ByAttributes, judge_of
from tests.contracts.specs import PREDICTOR, seeded

COLUMNS: dict[str, Column] = {"kind": Labels(2), "hue": Values(0, 1, cyclic=True), "size": Values(0, 10, unit="cm")}


def data(n: int = 8, columns: Mapping[str, Column] = COLUMNS) -> DataSet:
    """Pixel 0 of row i is i."""
    x = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 2, 2).clone()
    known = {"kind": torch.arange(n) % 2, "hue": torch.full((n,), 0.95), "size": torch.full((n,), 4.0)}
    return DataSet("some", x, attributes={name: known[name] for name in columns}, columns=columns)


class Oracle(nn.Module):
    """Says hue 0.05, size 4 + row, and kind 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conditions, self.device = ConditionSpace(COLUMNS), torch.device("cpu")
        self.sample_shape = (1, 2, 2)

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        assert not self.training and not torch.is_grad_enabled()
        row = ((x[:, 0, 0, 0] + 1) * 127.5).round()
        return {"kind": torch.zeros(len(x), dtype=torch.int64), "hue": 0 * row + 0.05, "size": 4 + row}

    def embed(self, x: Tensor, name: str) -> Tensor:
        row = (x[:, 0, 0, 0] + 1) * 127.5
        return torch.stack([row, -row], 1) if name == "hue" else row[:, None]


def test_errors_are_absolute_circular_and_of_classes() -> None:
    oracle = Oracle()
    found = attribute_errors(oracle, data())
    assert found["values"] == {"kind": 0.5, "hue": pytest.approx(0.1), "size": pytest.approx(3.5)}
    assert found["standard_errors"]["kind"] == pytest.approx(0.5 / 8**0.5)
    assert found["standard_errors"]["size"] == pytest.approx(torch.arange(8.0).std(correction=0).item() / 8**0.5)
    assert found["labels"]["size"] == "size: mean absolute error cm" and found["better"]["kind"] == "higher"
    assert found["in words"]["hue"] == "36.00 degrees of the circle" and found["against"]["n"] == 8
    assert oracle.training, "left as it was"
    assert attribute_errors(oracle, data(), n=3)["against"]["n"] == 3


def test_errors_are_told_in_words() -> None:
    assert in_words(Labels(3), 0.9995) == "0.05 % wrong"
    assert in_words(Values(-180, 180, cyclic=True), 2) == "2.00 degrees of the circle"
    assert in_words(Values(0, 12**0.5), 0.08) == "0.080 of the deviation"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "takes 2 classes of 'kind', but the data have 0; their attributes: none$"),
        ({"kind": COLUMNS["kind"], "size": COLUMNS["size"]}, "takes numbers .* for 'hue', but the data have none"),
        ({**COLUMNS, "hue": Values(0, 1)}, ".*for 'hue', but the data have numbers from 0 to 1; their"),
        ({**COLUMNS, "size": Values(0, 10, cyclic=True)}, ".*for 'size', but the data have numbers on a circle"),
    ],
)
def test_data_without_the_attributes_are_refused(columns: Mapping[str, Column], message: str) -> None:
    with pytest.raises(EvaluationError, match=f"^some: the predictor {message}".replace(" $", "$")):
        attribute_errors(Oracle(), data(columns=columns))


def test_numbers_beyond_what_was_learned_are_scored_too() -> None:
    assert attribute_errors(Oracle(), data(columns={**COLUMNS, "size": Values(-5, 50)}))["values"]["size"] == 3.5


def asked(**changed: Any) -> Any:
    return SimpleNamespace(**{"metrics": ["attributes"], "best": "hue", "n": 8, "extractor": None, **changed})


def test_a_run_scores_its_predictor() -> None:
    judge = judge_of(seeded(PREDICTOR))
    assert isinstance(judge, ByAttributes)
    judge.check(asked())
    judge.check_reference(asked(), Oracle(), data())
    assert judge.scores(Oracle(), data(), asked(n=4), 0, lambda *_: None)["against"]["n"] == 4


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({"metrics": ["fd"]}, COLUMNS, r"evaluate: a predictor is scored by metrics: \[attributes\]"),
        ({"best": "hues"}, COLUMNS, r"evaluate\.best: 'hues' is no attribute of the predictor; did you mean 'hue'"),
        ({}, {"kind": Labels(2)}, r"evaluate\.against: some: the predictor takes .*'hue'"),
    ],
)
def test_what_cannot_be_scored_is_refused_early(change: Any, columns: Mapping[str, Column], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        ByAttributes().check(asked(**change))
        ByAttributes().check_reference(asked(**change), Oracle(), data(columns=columns))


def test_so_is_another_shape() -> None:
    small = DataSet("small", torch.zeros(8, 1, 1, 1, dtype=torch.uint8), attributes=data().attributes, columns=COLUMNS)
    with pytest.raises(RecipeError, match=r"small is \[1, 1, 1\], the data \[1, 2, 2\]"):
        ByAttributes().check_reference(asked(), Oracle(), small)


def test_distances_are_those_of_the_contrastive_loss() -> None:
    a, b = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, -1.0]])
    assert distances(a, b)["squared"].tolist() == [10] and distances(a, b)["mean_absolute"].tolist() == [2]


def test_thresholds_are_of_the_noise_and_of_real_pairs() -> None:
    found = calibrate(embeddings_of(Oracle()), data(200), noise=0.0)["size"]["mean_absolute"]
    assert found.noise == 0 and found.tau_plus == pytest.approx(0.05 * found.mean)
    assert abs(found.mean - 200 / 3) < 6, "of two uniform numbers"
    assert found.tau_minus == found.quantiles[3] and abs(found.tau_minus - 200 * (1 - 0.3**0.5)) < 12
    assert calibrate(embeddings_of(Oracle()), data(200), noise=0.0)["size"]["mean_absolute"] == found, (
        "a function of the seed"
    )
    noisy = calibrate(embeddings_of(Oracle()), data(200), noise=0.05)["size"]["mean_absolute"]
    assert abs(noisy.noise - 1.96 * 0.05 * 127.5) < 2 and noisy.tau_plus == noisy.noise and noisy.mean == found.mean
    both = calibrate(embeddings_of(Oracle()), data(200), noise=0.05)["hue"]
    squared, absolute = both["squared"], both["mean_absolute"]
    assert squared.noise == pytest.approx(2 * absolute.noise**2, rel=1e-3) and squared.mean > absolute.mean
    assert found.usable and not Calibration(3, 2, (0,) * 5, 3, 2).usable


def test_one_image_makes_no_pair() -> None:
    with pytest.raises(EvaluationError, match="pairs need at least 2 images, got 1"):
        calibrate(embeddings_of(Oracle()), data(1))

from __future__ import annotations

import pytest
import torch

from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import DataError
from genkit.data.dataset import DataSet

X = torch.arange(3 * 4, dtype=torch.uint8).reshape(3, 1, 2, 2) * 20
Y = torch.tensor([1, 0, 1])


def test_rows_are_in_minus_one_to_one_in_the_asked_order() -> None:
    data = DataSet("d", X, Y, ("a", "b"))
    index = torch.tensor([2, 0, 2])
    rows = data.rows(index)
    assert rows.dtype == torch.float32 and rows.shape == (3, 1, 2, 2)
    assert torch.allclose(rows, X[index].float() / 127.5 - 1)
    assert data.condition(index)["label"].tolist() == [1, 1, 1]
    assert len(data) == 3 and data.sample_shape == (1, 2, 2)
    assert data.conditions["label"].classes == 2 and data.conditions["label"].names == ("a", "b")


def test_points_are_left_as_they_are() -> None:
    points = torch.tensor([[5.0, -7.0], [0.5, 0.25]])
    assert torch.equal(DataSet("p", points).rows(torch.tensor([1, 0])), points.flip(0))


@pytest.mark.parametrize("labels", [None, torch.zeros(3, dtype=torch.int64)])
def test_no_conditions_without_two_classes(labels: torch.Tensor | None) -> None:
    data = DataSet("d", X, labels)
    assert not data.conditions and data.condition(torch.tensor([0])) == {}


def test_fingerprint_is_of_content_shape_and_labels() -> None:
    same = DataSet("other name", X.clone(), Y.clone(), ("x", "y"))
    assert DataSet("d", X, Y).fingerprint == same.fingerprint
    changed = X.clone()
    changed[2, 0, 1, 1] += 1
    others = [DataSet("d", X), DataSet("d", X, 1 - Y), DataSet("d", changed, Y), DataSet("d", X.reshape(3, 4, 1, 1), Y)]
    assert len({same.fingerprint, *(other.fingerprint for other in others)}) == 5


SIZE = {"size": torch.tensor([0.5, 0.25, 0.75])}
COLUMN = {"size": Values(0.2, 0.8)}


def test_attributes_are_conditions_beside_labels() -> None:
    data = DataSet("d", X, Y, attributes=SIZE, columns=COLUMN)
    assert list(data.conditions) == ["label", "size"] and data.conditions["size"] is COLUMN["size"]
    rows = data.condition(torch.tensor([2, 0]))
    assert rows["size"].tolist() == [0.75, 0.5] and rows["label"].tolist() == [1, 1]
    alone = DataSet("d", X, attributes=SIZE, columns=COLUMN, unlabelled="a stray file")
    assert list(alone.conditions) == ["size"] and alone.conditions.absent == "a stray file"
    assert list(alone.condition(torch.tensor([0]))) == ["size"]


def test_attributes_are_part_of_the_fingerprint_by_name() -> None:
    def of(**attributes: torch.Tensor) -> str:
        return DataSet("d", X, attributes=attributes, columns={k: Values(0, 1) for k in attributes}).fingerprint

    a, b = torch.tensor([0.5, 0.25, 0.75]), torch.tensor([0.5, 0.25, 0.5])
    assert len({of(), of(a=a), of(a=b), of(b=a), of(a=a, b=b), of(a=b, b=a)}) == 6
    assert of(a=a, b=b) == of(b=b, a=a) and of() == DataSet("d", X).fingerprint


@pytest.mark.parametrize(
    ("attributes", "columns", "reason"),
    [
        (SIZE, {}, "every attribute needs a column.*got size with columns$"),
        ({}, COLUMN, "every attribute needs a column"),
        ({"label": Y}, {"label": Labels(2)}, "none is called label"),
        ({"size": torch.tensor([0.5, 0.25])}, COLUMN, "'size': .*3 samples, 2 numbers"),
        ({"size": torch.tensor([0.5, 0.25, 0.9])}, COLUMN, "'size': .*got 0.9"),
        ({"size": torch.tensor([0.5, 0.25, float("nan")])}, COLUMN, "'size': .*got nan"),
        ({"size": SIZE["size"].double()}, COLUMN, "'size' needs 3 rows of torch.float32"),
        ({"size": torch.tensor([0.5])}, COLUMN, "'size' needs 3 rows"),
        ({"size": torch.tensor([0.5, 0.25, 1.0])}, {"size": Values(0, 1, cyclic=True)}, "'size' needs 3 rows"),
        ({"kind": torch.tensor([0, 1, 2])}, {"kind": Labels(2)}, "'kind': .*takes 0 to 1, got 2"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(attributes, columns, reason) -> None:
    with pytest.raises(DataError, match=f"^d: .*{reason}"):
        DataSet("d", X, attributes=attributes, columns=columns)


@pytest.mark.parametrize(
    ("x", "labels", "classes", "reason"),
    [
        (X[:0], None, (), "N of at least 1"),
        (X.float(), None, (), "needs uint8"),
        (X[:, 0], None, (), "needs uint8"),
        (torch.tensor([[0.0], [float("inf")]]), None, (), "point 1 is not finite"),
        (X, Y[:2], (), r"one int64 label a row, \(3,\), got \(2,\)"),
        (X, Y.float(), (), "float32"),
        (X, torch.tensor([0, 2, 1]), ("a", "b"), "label 2 of row 1 is not in 0 to 1"),
        (X, torch.tensor([0, 1, -1]), (), "label -1 of row 2"),
    ],
)
def test_what_cannot_be_a_data_set(x, labels, classes, reason) -> None:
    with pytest.raises(DataError, match=f"^d: .*{reason}"):
        DataSet("d", x, labels, classes)


def test_a_row_that_is_not_there() -> None:
    with pytest.raises(DataError, match="d has rows 0 to 2"):
        DataSet("d", X).rows(torch.tensor([3]))

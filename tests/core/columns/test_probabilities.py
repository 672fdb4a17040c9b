from __future__ import annotations

from typing import Any

import pytest
import torch

from genkit.core import catalog
from genkit.core.columns.column import Column
from genkit.core.columns.probabilities import Probabilities
from genkit.core.errors import ConditionError
from genkit.core.randomness import Noise, Rows

TWO, THREE = Probabilities(2, ["small", "large"]), Probabilities(3)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("0.25/0.75", [[0.25, 0.75]] * 2),
        ("large", [[0, 1]] * 2),
        ("0", [[1, 0]] * 2),
        (["large", "0.5/0.5"], [[0, 1], [0.5, 0.5]]),
        (1, [[0, 1]] * 2),
        ([1, 0], [[0, 1], [1, 0]]),
        ([0.25, 0.75], [[0.25, 0.75]] * 2),
        (torch.tensor([[0.0, 1.0], [0.5, 0.5]]), [[0, 1], [0.5, 0.5]]),
        (torch.tensor([[0.5, 0.5]], dtype=torch.float64), [[0.5, 0.5]] * 2),
    ],
)
def test_rows_texts_and_classes(value: Any, want: Any) -> None:
    got = TWO.check("probabilities", value, 2)
    assert got.dtype == torch.float32 and got.equal(torch.tensor(want, dtype=torch.float32))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("0.2/0.9", "one in sum; got 0.2/0.9"),
        ("-0.5/1.5", "one in sum; got -0.5/1.5"),
        ("nan/1", "one in sum; got nan/1"),
        ("0.2/0.3/0.5", "takes 2 probabilities; got '0.2/0.3/0.5'"),
        ("huge", "no class is called 'huge'"),
        ("0.5/half", "such as 0.5/0.5; got '0.5/half'"),
        ("2", "takes 0 to 1, got 2"),
        (torch.full((3, 2), 0.5), r"2 samples; got \[3, 2\]"),
        (torch.full((2, 3), 1 / 3), r"got \[2, 3\]"),
        (torch.full((2, 2), float("inf")), "got inf/inf"),
        (object(), "takes probabilities of 2 classes, got"),
        (None, "takes probabilities of 2 classes, got None"),
    ],
)
def test_what_is_none_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ConditionError, match=reason):
        TWO.check("probabilities", value, 2)


def test_draws_are_uniform_on_the_simplex_and_by_row() -> None:
    drawn = THREE.draw(Noise(20_000, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(drawn.sum(1), torch.ones(20_000))
    assert (drawn.mean(0) - 1 / 3).abs().max() < 0.01
    assert abs((drawn[:, 0] < 0.5).double().mean() - 0.75) < 0.02, "P(p < t) = 1 - (1 - t)^2"
    few, many = (THREE.draw(Rows(n, torch.Generator().manual_seed(0))) for n in (2, 5))
    assert few.equal(many[:2])


def test_names_files_and_misfits() -> None:
    spec = {"type": "probabilities", "classes": 2, "names": ["small", "large"]}
    made = catalog.convert(Column, spec)
    assert isinstance(made, Probabilities) and made.names == ("small", "large") and made.config["classes"] == 2
    assert not made.misfit("probabilities", TWO) and made.about == "probabilities of 2 classes"
    assert "but the data have probabilities of 3 classes" in made.misfit("probabilities", THREE)
    assert "but the data have none" in made.misfit("probabilities", None)
    for classes, names in ((1, ()), (2, ("one",))):
        with pytest.raises(ConditionError):
            Probabilities(classes, names)

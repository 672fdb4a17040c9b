from __future__ import annotations

import pytest
import torch

from genkit.core.errors import DataError, EvaluationError
from genkit.data.dataset import DataSet
from genkit.evaluation import latent_neighbours as module
from genkit.evaluation.latent_neighbours import active_dimensions, latent_knn, vote


class Corner:
    """The top left corner as a latent, and a dimension that says nothing."""

    sample_shape = (1, 4, 4)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        corner = x[:, 0, :2, :2].flatten(1)
        return torch.cat([corner, torch.full((len(x), 1), 0.3)], 1)


def data(n: int, seed: int, name: str = "some", labels: torch.Tensor | None = None) -> DataSet:
    x = torch.randint(0, 256, (n, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return DataSet(name, x, (x[:, 0, 0, 0] > 127).long() if labels is None else labels)


def test_ties_go_to_the_lowest_label() -> None:
    labels = torch.tensor([[3, 1, 1, 3], [2, 0, 5, 5], [4, 2, 0, 1]])
    assert vote(labels).tolist() == [1, 5, 0]


def test_every_test_image_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENCODED", 8)
    told: list[tuple[int, int]] = []
    found = latent_knn(Corner(), data(60, 0), data(21, 1), [5, 1], lambda *at: told.append(at))
    assert list(found.accuracy) == [1, 5] and found.test["n"] == 21 and told[-1] == (81, 81)
    known, asked = (d.x[:, 0, :2, :2].flatten(1).float() for d in (data(60, 0), data(21, 1)))
    near = data(60, 0).labels[torch.cdist(asked, known).argsort(1)[:, :5]]
    assert found.accuracy[1] == pytest.approx((near[:, 0] == data(21, 1).labels).double().mean().item())
    assert found.accuracy[5] == pytest.approx(((near.sum(1) > 2) == data(21, 1).labels).double().mean().item())
    assert (found.active, found.dims) == (4, 5)
    assert latent_knn(Corner(), data(60, 0), data(60, 0), [1]).accuracy[1] == 1
    values = found.to_json()
    assert values["values"]["k=5"] == found.accuracy[5]
    assert values["standard_errors"]["k=1"] == pytest.approx((found.accuracy[1] * (1 - found.accuracy[1]) / 21) ** 0.5)


class Parts(Corner):
    """Its latents as a tree."""

    def encode(self, x: torch.Tensor) -> dict:  # type: ignore[override]
        z = super().encode(x)
        return {"rest": (z[:, 3:],), "corner": z[:, :3].unflatten(1, (3, 1))}


def test_latents_of_several_parts_are_compared_as_one() -> None:
    whole, parts = (latent_knn(kind(), data(60, 0), data(21, 1), [1, 5]) for kind in (Corner, Parts))
    assert parts.accuracy == whole.accuracy and (parts.active, parts.dims) == (4, 5)


def test_active_dimensions() -> None:
    torch.manual_seed(0)
    assert active_dimensions(torch.randn(500, 3) * torch.tensor([1.0, 0.2, 0.05])) == 2


def test_refusals() -> None:
    some = data(10, 0)
    for k, most in (([], "number of"), ([0], "number of"), ([11], "10")):
        with pytest.raises(EvaluationError, match=f"k must be numbers from 1 to the {most} training images"):
            latent_knn(Corner(), some, some, k)
    with pytest.raises(EvaluationError, match="the test set: bare has no labels"):
        latent_knn(Corner(), some, DataSet("bare", some.x), [1])
    with pytest.raises(EvaluationError, match="no latents"):
        latent_knn(torch.nn.Linear(2, 2), some, some, [1])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="the training set: no file, folder or data set 'digit'"):
        latent_knn(Corner(), "digit", some, [1])
    with pytest.raises(DataError, match=r"samples of digits are \[1, 28, 28\], wanted \[1, 4, 4\]"):
        latent_knn(Corner(), some, "digits", [1])

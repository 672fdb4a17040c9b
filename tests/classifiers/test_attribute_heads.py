from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from genkit.classifiers.attribute_heads import attribute_loss, embedded, outputs_of, predicted, standardised
from genkit.core.columns.images import Images
from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.errors import RecipeError
from genkit.core.randomness import Noise

SHAPE, SIZE, ANGLE = Labels(3), Values(0.3, 0.7), Values(-180, 180, cyclic=True)


def test_numbers_are_of_mean_0_and_deviation_1() -> None:
    z = standardised(SIZE, SIZE.draw(Noise(20_000, torch.Generator().manual_seed(0))))
    assert z.shape == (20_000, 1) and abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02
    assert predicted(SIZE, standardised(SIZE, torch.tensor([0.3, 0.42, 0.9]))).tolist() == pytest.approx(
        [0.3, 0.42, 0.9]
    )


def test_cyclic_numbers_are_points_of_the_circle() -> None:
    rows = torch.tensor([-180.0, -90.0, 0.0, 170.0])
    points = standardised(ANGLE, rows)
    assert torch.allclose(points[:3], torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), atol=1e-6)
    assert predicted(ANGLE, 5 * points).tolist() == pytest.approx(rows.tolist(), abs=1e-3), "whatever their length"
    assert embedded(ANGLE, 5 * points).allclose(points), "distances are of unit vectors"
    assert predicted(Values(0, 1, cyclic=True), torch.tensor([[1.0, -1e-12]])).item() < 1


def test_classes_are_probabilities() -> None:
    logits = torch.tensor([[0.0, math.log(3), 0.0]])
    assert embedded(SHAPE, logits).allclose(torch.tensor([[0.2, 0.6, 0.2]])) and predicted(SHAPE, logits).tolist() == [
        1
    ]
    assert predicted(SHAPE, logits).dtype == torch.int64
    assert predicted(Labels(2), torch.tensor([[1.0, 2.0]])).tolist() == [1], "two classes are no circle"
    assert embedded(Labels(2), torch.tensor([[0.0, 0.0]])).tolist() == [[0.5, 0.5]]


def test_losses_are_those_of_the_formulas() -> None:
    logits, label = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    assert attribute_loss(SHAPE, logits, label).item() == pytest.approx(F.cross_entropy(logits, label).item())
    deviation = 0.4 / math.sqrt(12)
    assert attribute_loss(SIZE, torch.zeros(2, 1), torch.tensor([0.5, 0.7])).item() == pytest.approx(
        (0.2 / deviation) ** 2 / 2
    )
    far = attribute_loss(ANGLE, torch.tensor([[1.0, 0.0]]), torch.tensor([0.0]))
    near = attribute_loss(ANGLE, torch.tensor([[1.0, 0.0]]), torch.tensor([179.0]))
    assert far.item() == pytest.approx(4) and near.item() < 1e-3


def test_images_are_no_attribute() -> None:
    assert [outputs_of("a", column) for column in (SHAPE, SIZE, ANGLE)] == [3, 1, 2]
    with pytest.raises(RecipeError, match=r"attributes\.low: classes or numbers"):
        outputs_of("low", Images((1, 4, 4)))

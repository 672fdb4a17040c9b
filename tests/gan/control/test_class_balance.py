from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.columns.labels import Labels
from genkit.core.errors import RecipeError
from genkit.gan.control.class_balance import ClassBalance
from genkit.gan.control.measures import MeanColour


class Told(nn.Module):
    """Images whose pixels are the logits of three classes."""

    column = Labels(3)

    def read(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :3].softmax(1)

    embed = read


class Fakes:
    def __init__(self, x: Tensor):
        self.x = x


def of(logits: Tensor, **arguments: Any) -> Tensor:
    turn: Any = type("Made", (), {"fake": Fakes(logits.view(len(logits), 3, 1, 1))})()
    return ClassBalance("shape", Told(), **arguments)(turn)


def test_it_is_the_divergence_of_the_mean_from_the_shares() -> None:
    logits = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    q, shares = logits.softmax(1).mean(0), torch.tensor([0.5, 0.3, 0.2])
    expected = 2 * torch.distributions.kl_divergence(*map(torch.distributions.Categorical, (shares, q)))
    torch.testing.assert_close(of(logits, shares=[0.5, 0.3, 0.2], weight=2.0), expected)
    even = torch.eye(3).repeat(4, 1) * 1000
    assert of(even).item() == pytest.approx(0, abs=1e-6)
    assert of(even[:5]).item() > 0.01


def test_a_class_that_is_lost_is_called_back() -> None:
    logits = torch.tensor([[4.0, 0.0, -12.0], [0.0, 4.0, -14.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(of(logits), logits)
    assert (gradient[:, 2] < -0.01).all() and (gradient[:, :2].sum(1) > 0.01).all()
    dead = torch.tensor([[4.0, 0.0, -300.0]], requires_grad=True)
    assert torch.autograd.grad(of(dead), dead)[0].isfinite().all()


@pytest.mark.parametrize(
    ("measure", "shares", "message"),
    [
        (MeanColour(), None, "class_balance.measure: a MeanColour reads no class of shape"),
        (Told(), [0.5, 0.5], "3 classes need 3 shares whose sum is 1, got 2 with the sum 1"),
        (Told(), [0.5, 0.5, 0.5], "got 3 with the sum 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(measure: Any, shares: list[float] | None, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        ClassBalance("shape", measure, shares)

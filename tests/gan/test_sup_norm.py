"""The price of the critic's sup norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genkit.gan.slots import Judged
from genkit.gan.sup_norm import SupNormPenalty
from tests.gan.game import turn


def judged(score: Tensor) -> Judged:
    return Judged(torch.zeros(len(score), 1), {}, score, None)


def test_it_is_two_shares_of_the_largest_score_of_either_side_and_sign() -> None:
    gan: Any = None
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([3.0, -4.0, 0.5], requires_grad=True)
    penalty = SupNormPenalty(0.1)(turn(gan, judged(real), judged(fake)))
    penalty.backward()
    torch.testing.assert_close(penalty.detach(), torch.tensor(0.8))
    torch.testing.assert_close(fake.grad, torch.tensor([0.0, -0.2, 0.0]))
    assert SupNormPenalty(0.1)(turn(gan, judged(fake.detach()), judged(9 * real))).item() > 3.5


def test_the_robust_distance_of_two_atoms() -> None:
    """A tenth of the mass lies far off, less than the share that may be junk: no critic is worth its price."""
    share, place = 0.2, torch.tensor([0.0] * 9 + [10.0])
    slopes = torch.linspace(-1, 1, 201)
    gains = []
    for slope in slopes:
        real, fake = slope * place, torch.zeros(10)
        price = SupNormPenalty(share)(turn(None, judged(real), judged(fake)))  # type: ignore[arg-type]
        gains.append(float(real.mean() - fake.mean() - price))
    assert max(gains) < 1e-6 and slopes[int(torch.tensor(gains).argmax())].abs() < 1e-6

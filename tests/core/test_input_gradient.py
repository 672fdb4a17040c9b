from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from genkit.core.errors import GenkitError
from genkit.core.input_gradient import input_gradient
from genkit.core.precision import full_precision

W = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))


def cubic(x: Tensor) -> Tensor:
    return (W * x**3).sum(1)


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_every_sample_has_its_own_gradient_in_any_mode(mode: Callable) -> None:
    with mode():
        x = torch.randn(4, 3)
        got = input_gradient(cubic, x)
    torch.testing.assert_close(got, 3 * W.detach() * x**2)
    assert not got.requires_grad and not x.requires_grad


def test_it_can_be_differentiated_where_asked() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    slope = input_gradient(cubic, x, create_graph=True)
    slope.sum().backward()
    torch.testing.assert_close(W.grad, (3 * x.detach() ** 2).sum(0))
    assert x.grad is None, "the input is a leaf of its own"
    W.grad = None


def test_what_is_computed_at_full_precision_is_so_on_the_way_back_too() -> None:
    x, w = torch.randn(4, 300), torch.randn(300, 300)

    def f(x: Tensor) -> Tensor:
        with full_precision(x):
            return (x @ w).sin().sum(1)

    with torch.autocast("cpu", torch.bfloat16):
        lowered = input_gradient(f, x)
    assert lowered.equal(input_gradient(f, x))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: cubic(x.detach()), "no graph leads back to it"),
        (lambda x: cubic(x).detach(), "no graph leads back to it"),
        (lambda x: (W.sum() + x.detach()).sum(1), "no graph leads back to it"),
        (lambda x: cubic(x).sum(), r"one value a sample, \(4,\); got \(\)"),
        (lambda x: x * W, r"one value a sample, \(4,\); got \(4, 3\)"),
    ],
)
def test_what_has_no_gradient_is_refused_in_one_line(f: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(GenkitError, match=message) as refusal:
        input_gradient(f, torch.randn(4, 3))
    assert "\n" not in str(refusal.value)

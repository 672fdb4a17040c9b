"""The blocked mixture against the formula, and what it keeps in memory."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.vae.log_mixture import LeaveOut, log_mixture, seen

B, M, D = 5, 37, 3


def direct(z: Tensor, means: Tensor, log_variance: Tensor, out: LeaveOut | None = None) -> Tensor:
    """The formula, (B, M, D) and all."""
    lv = log_variance.expand(len(means), z.shape[1])
    log_n = -0.5 * (lv + math.log(2 * math.pi) + (z[:, None] - means) ** 2 / lv.exp()).sum(2)
    if out is None:
        return log_n.logsumexp(1) - math.log(len(means))
    own = out.rows[:, None] == out.items
    return log_n.masked_fill(own, -math.inf).logsumexp(1) - (len(means) - own.sum(1)).log()


def inputs(diagonal: bool, dtype=torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    shape = (M, D) if diagonal else (1,)
    made = (torch.randn(B, D) * 2 + 5, torch.randn(M, D) * 2 + 5, torch.randn(shape) * 0.5 - 0.5)
    return [t.to(dtype).requires_grad_() for t in made]


OUT = LeaveOut(torch.tensor([0, 1, 2, 3, 99]), torch.arange(M) % 20)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("out", [None, OUT])
@pytest.mark.parametrize("block", [10, 37, 1000])
def test_value_and_gradients(diagonal: bool, out: LeaveOut | None, block: int) -> None:
    ours, theirs = inputs(diagonal), inputs(diagonal)
    weights = torch.arange(1.0, B + 1, dtype=torch.float64)
    got, want = log_mixture(*ours, leave_out=out, block=block), direct(*theirs, out)
    tolerance = {"rtol": 1e-6, "atol": 1e-6} if diagonal else {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(got.double(), want, **tolerance)
    (got * weights).sum().backward()
    (want * weights).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-8)


def test_float32_keeps_its_digits_far_from_zero() -> None:
    torch.manual_seed(1)
    z, means, lv = torch.randn(20, 40) + 100, torch.randn(500, 40) + 100, torch.tensor([-1.0])
    want = direct(z.double(), means.double(), lv.double())
    torch.testing.assert_close(log_mixture(z, means, lv).double(), want, rtol=1e-6, atol=2e-4)
    means[:, 0] += 1000  # nothing near: very negative, but finite
    assert log_mixture(z, means, lv).isfinite().all()


def test_a_standard_normal_is_a_mixture_of_one() -> None:
    z = torch.randn(4, D)
    want = torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    torch.testing.assert_close(log_mixture(z, torch.zeros(1, D), torch.zeros(1)), want)


def test_count_replaces_the_number_of_components() -> None:
    z, means, lv = (t.detach() for t in inputs(False))
    count = torch.full((B,), 100.0)
    got = log_mixture(z, means, lv, leave_out=OUT, count=count)
    own = (OUT.rows[:, None] == OUT.items).sum(1)
    torch.testing.assert_close(got, direct(z, means, lv, OUT) + (M - own).log() - math.log(100), check_dtype=False)


def test_seen_counts_every_copy() -> None:
    assert seen(LeaveOut(torch.tensor([4, 7, 9]), torch.tensor([7, 4, 4, 1, 4]))).tolist() == [2, 4, 5]


def test_nothing_left_is_refused() -> None:
    z, means, lv = (t.detach() for t in inputs(False))
    with pytest.raises(GenkitError, match="row 3 of the batch is left without any of the 37 exemplars"):
        log_mixture(z, means, lv, leave_out=LeaveOut(torch.tensor([0, 0, 0, 8, 8]), torch.full((M,), 8)))


@pytest.mark.parametrize("diagonal", [False, True])
def test_what_is_kept_for_the_backward_pass_and_made_at_a_time_is_small(diagonal: bool) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            made = out if isinstance(out, (tuple, list)) else (out,)
            self.elements = max(self.elements, *(t.numel() for t in made if isinstance(t, Tensor)), 0)
            return out

    rows, components, dims, block = 64, 1000, 4, 100
    means = torch.randn(components, dims, requires_grad=True)
    lv = torch.zeros((components, dims) if diagonal else (1,), requires_grad=True)
    out = LeaveOut(torch.arange(rows), torch.arange(components))
    with Largest() as seen_sizes:
        z = torch.randn(rows, dims, requires_grad=True)
        log_mixture(z, means, lv, leave_out=out, block=block).sum().backward()
    assert seen_sizes.elements <= components * (2 * dims + 1) < rows * components


def test_under_autocast_it_stays_float32() -> None:
    z, means, lv = (t.detach().float() for t in inputs(False))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = log_mixture(z.bfloat16(), means, lv)
    torch.testing.assert_close(got, log_mixture(z.bfloat16().float(), means, lv))

"""SeFa and GANSpace."""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.posthoc.directions.ganspace import ganspace, ganspace_z
from genkit.posthoc.directions.sefa import sefa, signed
from tests.posthoc.directions.fixture import read

EXACT = {"rtol": 0.0, "atol": 1e-9}


def same_rows(rows: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(rows, signed(expected), **EXACT)
    assert (rows.gather(1, rows.abs().argmax(1, keepdim=True)) > 0).all()


def test_sefa_of_normalised_rows_and_others() -> None:
    io = read().of("sefa")
    for suffix, normalised in (("", True), ("_unnormalised", False)):
        found = sefa(io["weight"], normalised=normalised)
        same_rows(found.rows, io[f"directions{suffix}"])
        torch.testing.assert_close(found.strengths, io[f"eigenvalues{suffix}"], **EXACT)
    assert sefa(io["weight"], 3).rows.equal(sefa(io["weight"]).rows[:3])


def test_the_first_directions_of_sefa_move_most() -> None:
    a = torch.randn(40, 6, dtype=torch.float64)
    found = sefa(a, normalised=False)
    moved = (a @ found.rows.T).square().sum(0)
    torch.testing.assert_close(moved, found.strengths)
    assert (moved.diff() < 0).all()


def test_ganspace_of_w() -> None:
    io = read().of("ganspace")
    found = ganspace(io["w"])
    same_rows(found.rows, io["components"])
    torch.testing.assert_close(found.strengths, io["stdev"], **EXACT)
    torch.testing.assert_close(found.mean, io["mean"], **EXACT)


def test_ganspace_of_activations() -> None:
    io = read().of("ganspace_z")
    same_rows(ganspace(io["act"], 4).rows, io["act_components"])
    found, expected = ganspace_z(io["z"], io["act"], 4), io["z_directions"]
    torch.testing.assert_close(found.rows, expected * (found.rows * expected).sum(1, keepdim=True).sign(), **EXACT)

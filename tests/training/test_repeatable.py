"""Determinism of GPUs, as far as it shows without one; tests/gpu has the rest."""

from __future__ import annotations

import pytest
import torch

from genkit.core.errors import TrainingError
from genkit.training.repeatable import repeatable

ELSEWHERE = torch.device("meta")


def flags() -> tuple[bool, bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch._C._is_multithreading_enabled(),
    )


def test_only_inside_and_only_off_the_cpu() -> None:
    before = flags()
    with repeatable(ELSEWHERE):
        assert flags() == (True, False, False, False)
    assert flags() == before
    for device, wanted in ((torch.device("cpu"), True), (ELSEWHERE, False)):
        with repeatable(device, wanted):
            assert flags() == before


def test_what_cannot_is_told_with_the_way_out() -> None:
    before = flags()
    complaint = "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but you set ..."
    told = r"adaptive_max_pool2d_backward_cuda cannot .* train\.deterministic=false"
    with pytest.raises(TrainingError, match=told), repeatable(ELSEWHERE):
        raise RuntimeError(complaint)
    with pytest.raises(RuntimeError, match="out of memory"), repeatable(ELSEWHERE):
        raise RuntimeError("out of memory")
    assert flags() == before

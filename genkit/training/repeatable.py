"""The same weights twice on a GPU too, where torch's quickest algorithms add numbers in any order.

Autograd too has an order: of nodes that are ready it takes the one made last, counted for each thread by itself. A loss
that differentiates twice makes nodes in two threads, so that the order of sums would depend on earlier work of each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from genkit.core.errors import TrainingError

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""Without it cuBLAS shares one buffer between streams; it is read when a device is used first."""
COMPLAINT = "deterministic"
"""A word in torch's error about an operation that has no such algorithm."""


@contextmanager
def repeatable(device: torch.device, wanted: bool = True) -> Iterator[None]:
    """Inside, operations on `device` give the same bits whenever they are given the same. A CPU's do so anyway.

    Raises:
        TrainingError: an operation that has no algorithm which does.
    """
    if device.type == "cpu" or not wanted:
        yield
        return
    os.environ.setdefault(*WORKSPACE)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filling = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with torch.autograd.set_multithreading_enabled(False):
            yield
    except RuntimeError as refused:
        if COMPLAINT not in str(refused):
            raise
        what = str(refused).partition(" does not have")[0] if " does not have" in str(refused) else str(refused)
        raise TrainingError(
            f"{what:.80} cannot repeat itself bit for bit on this device; with train.deterministic=false it may, but "
            "then a run that was stopped can end with other weights than one that was not"
        ) from refused
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]

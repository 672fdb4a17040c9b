"""The same weights twice on a GPU too, where torch's quickest algorithms add numbers in any order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from genkit.core.errors import TrainingError

WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""Without it cuBLAS shares one buffer between streams; it is read when a device is used first."""
COMPLAINT = "deterministic"
"""A word of what torch says of an operation that has no such algorithm."""


@contextmanager
def repeatable(device: torch.device, wanted: bool = True) -> Iterator[None]:
    """Inside, operations on `device` give the same bits whenever they are given the same. A CPU's do so anyway.

    Raises:
        TrainingError: an operation that has no algorithm which does.
    """
    if device.type == "cpu" or not wanted:
        yield
        return
    for name, value in WORKSPACE.items():
        os.environ.setdefault(name, value)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    except RuntimeError as refused:
        if COMPLAINT not in str(refused):
            raise
        what = str(refused).partition(" does not have")[0] if " does not have" in str(refused) else str(refused)
        raise TrainingError(
            f"{what:.80} cannot repeat itself bit for bit on this device; train.deterministic=false trains without, but "
            "then a run that was stopped may end with other weights than one that was not"
        ) from refused
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filling

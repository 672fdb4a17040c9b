"""Batch normalisation whose running statistics can be held still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def untracked(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms in `module` leave running mean, running variance and batch count as they are.

    Outputs do not change: training mode still normalises by the batch, eval mode by the running statistics.
    """
    norms = [(m, m.track_running_stats) for m in module.modules() if isinstance(m, _BatchNorm)]
    for norm, _ in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, tracked in norms:
            norm.track_running_stats = tracked

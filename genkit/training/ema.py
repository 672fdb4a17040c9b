"""The averaged copy of what is being learned; it is what gets sampled, scored and saved."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average: parameters are averaged, buffers copied.

    The decay of update t is min(decay, (1 + t) / (10 + t)), so that short runs are not averaged with their first,
    random weights. A decay of 0 keeps a plain copy.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.module = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Takes in `module` as it is after iteration `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(module.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for buffer, other in zip(self.module.buffers(), module.buffers(), strict=True):
            buffer.copy_(other)

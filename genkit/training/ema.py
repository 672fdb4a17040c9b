"""The averaged copy of what is being learned; it is what gets sampled, scored and saved."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from genkit.core.frozen import is_frozen, learnable


class EMA:
    """Exponential moving average: parameters are averaged, buffers copied.

    The decay of update t is min(decay, (1 + t) / (10 + t)), so that short runs are not averaged with their first,
    random weights. A decay of 0 keeps a plain copy. Frozen parts are not averaged: both hold the same ones.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        shared = {id(part): part for part in module.modules() if is_frozen(part)}
        self.module = copy.deepcopy(module, shared).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Takes in `module` as it is after iteration `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine, theirs = (list[Tensor](learnable(m)) for m in (self.module, module))
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for buffer, other in zip(self.module.buffers(), module.buffers(), strict=True):
            if buffer is not other:
                buffer.copy_(other)

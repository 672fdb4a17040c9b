"""Scaled losses, without which small gradients vanish in fp16. Micikevicius et al. 2018, arXiv:1710.03740, Sec. 3.2.

The scale is halved whenever a gradient overflows, whose step is left out, and doubled after 2,000 that did not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genkit.core.catalog import name_of
from genkit.core.errors import RecipeError
from genkit.core.system import System

LEAST = 2.0**-10
"""Scale below which gradients do not overflow for their size: they are not finite at any."""


class LossScale:
    """accelerate's scaler; at other precisions than fp16 there is none, and everything passes as it is.

    The scale is the same in all processes, since it is moved by gradients that are averaged already.
    """

    def __init__(self, scaler: Any):
        self.scaler = scaler

    def scaled(self, loss: Tensor) -> Tensor:
        return loss if self.scaler is None else self.scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divides the gradients of what `optimizer` steps by the scale, and notes whether one has overflown."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def forgiven(self, norm: Tensor, sound: Tensor) -> Tensor:
        """The norm of the gradient, or 0 where it has overflown for the scale alone: then its step is left out.

        Args:
            sound: 0 where the loss itself is finite.
        """
        if self.scaler is None:
            return norm
        scale = self.scaler.scale(torch.ones_like(norm))
        overflown = (sound == 0) & ~norm.isfinite() & (scale >= LEAST)
        return norm.where(~overflown, torch.zeros_like(norm))

    def update(self) -> None:
        """Moves the scale, after each step that was taken or left out."""
        if self.scaler is not None:
            self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {} if self.scaler is None else dict(self.scaler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)


def check_scaled(system: System, precision: str) -> None:
    """Raises RecipeError for fp16 where a loss differentiates inside itself: nothing is scaled there."""
    twice = {m for m in system.modules() if getattr(m, "differentiates_twice", False)}
    if precision == "fp16" and twice:
        names = ", ".join(sorted({name_of(type(m)) for m in twice}))
        raise RecipeError(
            f"train.precision: {names} differentiates inside the loss, where gradients are not scaled and would vanish "
            "in fp16; take 'no', or 'bf16' on a GPU that has it"
        )

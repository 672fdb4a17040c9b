"""Dropout that is active in every call."""

from __future__ import annotations

from torch import Tensor, nn

from genkit.core.processes import dropout


class AlwaysDropout(nn.Module):
    """Dropout in training and in eval mode, as the critic of CT-GAN uses it.

    Wei et al. 2018, section 3.2: the consistency term compares two noisy passes, and its authors' code leaves the
    noise on in the penalty and in the generator's step. See `genkit.core.processes.dropout`.

    Args:
        rate: share of the values set to zero, in [0, 1).
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"

"""The places where the host must know a value in the middle of a device's work, which makes a GPU wait.

The meta device has no values: a check holds there, no row is chosen, numbers are 0, or differ where they name rows, and
a count is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def known(check: Tensor) -> bool:
    """Whether `check`, () bool, holds."""
    return check.is_meta or bool(check)


def rows_of(chosen: Tensor) -> list[int]:
    """The rows of `chosen`, (n,) bool, that are true."""
    return [] if chosen.is_meta else chosen.nonzero().flatten().tolist()  # type: ignore[no-any-return]


def on_host(numbers: Tensor) -> Tensor:
    """`numbers`, int64, on the CPU."""
    return torch.arange(numbers.numel()).view(numbers.shape) if numbers.is_meta else numbers.cpu()


def listed(numbers: Sequence[Tensor]) -> list[float]:
    """The values of `numbers`, () each and on one device, which is asked once."""
    together = torch.stack([*numbers]) if len(numbers) else torch.zeros(0)
    return [0.0] * len(together) if together.is_meta else together.tolist()  # type: ignore[no-any-return]


class Tally(nn.Module):
    """A module with a count in a buffer, for checkpoints; the device is asked for it once, and after each load."""

    _known: int | None = None

    def counted(self, buffer: Tensor) -> int:
        """The number in `buffer`, the count."""
        if self._known is None:
            self._known = 1 if buffer.is_meta else int(buffer)
        return self._known

    def count_on(self, buffer: Tensor, number: int) -> None:
        """Sets the count."""
        buffer.fill_(number)
        self._known = number

    def _load_from_state_dict(self, *given: Any) -> None:
        self._known = None
        super()._load_from_state_dict(*given)

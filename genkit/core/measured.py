"""Statistics of a network's own weights, which no loss needs: measured when the network is finished."""

from __future__ import annotations

from abc import ABC, abstractmethod

from genkit.core.randomness import Randomness


class Measured(ABC):
    """A module with buffers that follow from its weights; the trainer has them measured for the averaged copy."""

    @abstractmethod
    def measure(self, randomness: Randomness) -> None:
        """Fills them, from the rows of `randomness`; everything else stays as it is."""

"""The end points of Langevin chains, and numbers to watch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from genkit.core.tree import Tree


@dataclass(frozen=True)
class Refined:
    """n chains at their end, without a graph.

    Attributes:
        latents, noise: the coordinates; noise (n, C, H, W).
        x: (n, C, H, W) in [0, 1].
        mean: the decoder's, like x; it may leave the range.
        energy_before, energy: E(x) at the start and at the end, (n,).
        moved_latents, moved_noise: root mean square of the distances moved by a chain's coordinates, (n,).
        accepted: share of the steps that the Metropolis correction took, (n,); None where there is none.
    """

    latents: Tree
    noise: Tensor
    x: Tensor
    mean: Tensor
    energy_before: Tensor
    energy: Tensor
    moved_latents: Tensor
    moved_noise: Tensor
    accepted: Tensor | None = None

    def watched(self) -> dict[str, Tensor]:
        """Numbers for the log, (n,) each; `energy_drop` is E at the start less E at the end."""
        moved = {"moved_latents": self.moved_latents, "moved_noise": self.moved_noise}
        accepted = {} if self.accepted is None else {"accepted": self.accepted}
        return {"energy_drop": self.energy_before - self.energy, **moved, **accepted}


def root_mean_square(rows: Tensor) -> Tensor:
    """(n, D) -> (n,)."""
    return rows.square().mean(1).sqrt()

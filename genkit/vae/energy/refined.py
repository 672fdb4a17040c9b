"""Where Langevin chains have come to, and what to watch of them."""

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
        moved_latents, moved_noise: root mean square over a chain's coordinates of how far it came, (n,).
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

    def observed(self, energy_of_data: Tensor) -> dict[str, Tensor]:
        """Scalars for the log, averages over the chains.

        `energy_gap` is E of data minus E of the chains: small and noisy while training is sound, and what runs away
        first when it is not. `energy_drop` is by how much the steps lowered E.
        """
        found = {
            "energy_gap": energy_of_data.mean() - self.energy.mean(),
            "energy_drop": (self.energy_before - self.energy).mean(),
            "moved_latents": self.moved_latents.mean(),
            "moved_noise": self.moved_noise.mean(),
        }
        return found if self.accepted is None else found | {"accepted": self.accepted.mean()}


def root_mean_square(rows: Tensor) -> Tensor:
    """(n, D) -> (n,)."""
    return rows.square().mean(1).sqrt()

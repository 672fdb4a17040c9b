"""A guard that notices the runaway of an energy in time (Xiao et al. 2021, App. E: it comes in the end)."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import BadState
from genkit.core.known import known
from genkit.core.pretrained import Configured


class RunawayGuard(Configured, nn.Module):
    """Follows the contrast E(data) - E(chains): small and noisy while chains keep up, and growing when they do not.

    Args:
        contrast: its running mean, in absolute value, beyond which the state is bad, in nats.
        memory: iterations that the running mean is of.

    Attributes:
        mean: the running mean, scalar.
    """

    mean: Tensor

    def __init__(
        self,
        contrast: Annotated[float, Field(gt=0, allow_inf_nan=False)],
        memory: Annotated[int, Field(ge=1)] = 20,
    ):
        super().__init__()
        self.contrast, self.memory = contrast, memory
        self.register_buffer("mean", torch.tensor(0.0))

    def look(self, contrast: Tensor) -> None:
        """Takes in the contrast, (), of one iteration.

        Raises:
            BadState: the energy runs away.
        """
        self.mean.lerp_(contrast.to(self.mean), 1 / self.memory)
        if not known(self.mean.abs() <= self.contrast):
            raise BadState(
                f"the energy runs away: data less chains is {float(self.mean):.3g} nats, and guard.contrast is "
                f"{self.contrast:g}"
            )

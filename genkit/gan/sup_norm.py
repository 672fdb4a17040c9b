"""The sup norm of the critic as a price: robust transport without weights."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.gan.slots import StepInterval, Term, Turn


class SupNormPenalty(Term):
    """2 share max |f|, the maximum over the real and fake samples of the batch.

    Nietert, Cummings and Goldfeld 2022, arXiv:2111.01361: of two distributions that may each lose a share of their
    mass, the dual of the distance is the usual one minus 2 share sup |f|.

    Args:
        outlier_share: up to this share of the data may be junk.
        every: critic steps from one in which it counts to the next, see `Term`.
    """

    name = "sup_norm"
    coupled = True

    def __init__(self, outlier_share: Annotated[float, Field(ge=0, lt=0.5)], every: StepInterval = 1):
        super().__init__(every)
        self.outlier_share = outlier_share

    def forward(self, turn: Turn) -> Tensor:
        return 2 * self.outlier_share * torch.cat([turn.real.score, turn.fake.score]).abs().max()

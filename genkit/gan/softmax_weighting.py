"""Sample re-weighting: fakes that the critic likes count more in its own loss."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genkit.core.precision import full
from genkit.core.processes import my_rows, whole_batch
from genkit.core.system import Terms, observe
from genkit.gan.slots import Judged, LossSide, Weighting


def softmax_weights(score: Tensor, temperature: float = 1.0) -> Tensor:
    """w_i = B exp(f_i / T) / sum_j exp(f_j / T) over the batch of all processes; (B,), mean one, no graph.

    Self-normalised importance weights of q(x) = p_theta(x) exp(f(x)) / Z, the E-step of Wu et al. 2020,
    arXiv:2006.06900. Unchanged when the critic is shifted, not when it is scaled.
    """
    # As a column, like the authors' scores: the gradient of the critic's last bias is one minus the weights' mean, zero
    # but for the last bit, and Adam turns a last bit into a full step.
    everyone = full(whole_batch(score)).unsqueeze(1) / temperature
    return my_rows(len(everyone) * everyone.softmax(0)).squeeze(1)


def effective_sample_size(weights: Tensor) -> Tensor:
    """(sum w)^2 / sum w^2 over the batch of all processes: B when all are equal, 1 when one sample takes all."""
    everyone = whole_batch(weights)
    return everyone.sum().square() / everyone.square().sum()


class SoftmaxWeighting(Weighting):
    """Softmax of the critic's scores, from the pass that is differentiated.

    Args:
        temperature: 1 in the paper. Once scores spread by more than about 5 a batch collapses to few samples: watch the
            logged effective sample size and raise it when that falls below an eighth of the batch.
    """

    coupled = True

    def __init__(self, temperature: Annotated[float, Field(gt=0)] = 1.0):
        super().__init__()
        self.temperature = temperature

    def forward(self, judged: Judged, side: LossSide = "real") -> Tensor:
        return softmax_weights(judged.score, self.temperature)

    def observe(self, weights: Tensor, side: LossSide = "real") -> Terms:
        with torch.no_grad():
            return observe(effective_sample_size=effective_sample_size(weights))

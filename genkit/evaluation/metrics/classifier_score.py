"""The Inception score of any classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.evaluation.functional import inception_score, inception_standard_error
from genkit.evaluation.metrics.kept import Kept
from genkit.evaluation.metrics.metric import LOGITS, NO_LOGITS, SAMPLES, Estimate, Metric, Scale, Sides


@dataclass(frozen=True)
class ProbabilitySums:
    """Sums of p and of p log p over n samples, p (classes,)."""

    n: Tensor
    p: Tensor
    p_log_p: Tensor

    def score(self) -> float:
        marginal = self.p / self.n
        return torch.exp(self.p_log_p / self.n - torch.special.xlogy(marginal, marginal).sum()).item()


class KeptSums(Kept):
    """Sums over samples: the score of one split needs no more of them."""

    def of(self, rows: Tensor) -> Tensor:
        log_p = rows.log_softmax(1)
        p = log_p.exp()
        return torch.cat([p.new_tensor([float(len(p)), (p * log_p).nan_to_num(0.0).sum()]), p.sum(0)])

    def merged(self, parts: list[Tensor], d: int) -> list[Tensor]:
        return [torch.stack(parts).sum(0)]

    def side(self, kept: Tensor, d: int, name: str) -> ProbabilitySums:
        sums = kept.reshape(-1, 2 + d).sum(0)
        return ProbabilitySums(sums[0], sums[2:], sums[1])


class ClassifierScore(Metric):
    """exp(mean KL(p(y|x) || p(y))) over all samples in one split, since with more it would depend on the order."""

    scores = (Scale("is", "higher", 1.0, math.inf, "CS", "IS"),)
    needs = frozenset({SAMPLES, LOGITS})
    compares = False
    keeps = KeptSums()

    @property
    def settings(self) -> dict[str, object]:
        return {"splits": 1}

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        if isinstance(sides.fake, ProbabilitySums):
            return {"is": Estimate(sides.fake.score())}
        logits = sides.fake.logits
        if logits is None:
            raise EvaluationError(NO_LOGITS)
        return {"is": Estimate(inception_score(logits)[0], lambda: inception_standard_error(logits))}

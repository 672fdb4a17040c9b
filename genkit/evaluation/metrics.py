"""The metrics in torchmetrics' shape, for anyone's own loop: update(samples, real=...), compute(), reset().

Sums and features are kept in float64, so the result does not depend on batch sizes, processes or order. States are
persistent (`state_dict` holds them) and merge over processes; a process may have seen nothing. Each takes features, or
images when it is given an extractor: uint8, or floats in [-1, 1].
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from genkit.core.errors import EvaluationError
from genkit.evaluation import functional
from genkit.evaluation.extractors.extractor import Extracted, Extractor
from genkit.evaluation.extractors.features import extractor_for
from genkit.evaluation.functional.checks import as_features
from genkit.evaluation.sources import check_batch


class EvaluationMetric(Metric):
    """Two growing sets of rows.

    States are lists of flat float64 tensors, because torchmetrics can gather those also from a process without data.

    Args:
        extractor: see `extractor_for`; None means that `update` is given features (or logits).
    """

    is_differentiable = False
    full_state_update = False
    columns: Tensor
    real: list[Tensor] | Tensor
    fake: list[Tensor] | Tensor

    def __init__(self, extractor: Extractor | nn.Module | str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.extract = None if extractor is None else extractor_for(extractor)
        self.set_dtype(torch.float64)
        self.add_state("columns", torch.zeros((), dtype=torch.float64), "max", persistent=True)
        for side in ("real", "fake"):
            self.add_state(side, [], "cat", persistent=True)

    def update(self, samples: Tensor, real: bool) -> None:
        """Adds a batch of features (B, d), or of images when there is an extractor.

        Raises:
            EvaluationError: another shape, not finite, or another dimension than before.
            DataError: images out of range.
        """
        self._add("real" if real else "fake", self.rows(samples))

    def rows(self, samples: Tensor) -> Tensor:
        """What is kept of a batch: (B, d) float64."""
        found = Extracted(samples) if self.extract is None else self.extract(check_batch(samples, "batch"))
        rows = as_features("features", self.select(found), least=1).to(self.device)
        if self.columns not in (0, rows.shape[1]):
            raise EvaluationError(f"features have {rows.shape[1]} dimensions, those before had {int(self.columns)}")
        self.columns = torch.tensor(float(rows.shape[1]), dtype=torch.float64, device=self.device)
        return rows

    def select(self, found: Extracted) -> Tensor:
        return found.features

    def _add(self, side: str, rows: Tensor) -> None:
        getattr(self, side).append(rows.flatten())

    def set(self, side: str) -> Tensor:
        """All rows of one side, (n, d)."""
        flat = getattr(self, side)
        if isinstance(flat, list) and not flat:
            raise EvaluationError(f"no {side} samples were given; call update(samples, real={side == 'real'})")
        return dim_zero_cat(flat).reshape(-1, int(self.columns))

    def _tensor(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self.device)


class FrechetDistance(EvaluationMetric):
    """Frechet distance from running means and covariances: memory of a (d, d) matrix, however many samples."""

    higher_is_better = False

    def _add(self, side: str, rows: Tensor) -> None:
        parts = getattr(self, side)
        parts.append(_moments(rows))
        if len(parts) > 1:
            setattr(self, side, [_merged(parts, rows.shape[1])])

    def gaussian(self, side: str) -> tuple[Tensor, Tensor]:
        """Mean and unbiased covariance of one side."""
        d = int(self.columns)
        parts = getattr(self, side)
        if isinstance(parts, list) and not parts:
            raise EvaluationError(f"no {side} samples were given; call update(samples, real={side == 'real'})")
        n, mean, scatter = _unpacked(_merged(list(dim_zero_cat(parts).reshape(-1, 1 + d + d * d)), d), d)
        if n < 2:
            raise EvaluationError(f"{side} features: got 1 sample, at least 2 are needed")
        return mean, scatter / (n - 1)

    def compute(self) -> Tensor:
        return self._tensor(functional.frechet_distance(*self.gaussian("real"), *self.gaussian("fake")))


class KernelDistance(EvaluationMetric):
    """Exact unbiased kernel distance over all pairs."""

    higher_is_better = False

    def compute(self) -> Tensor:
        return self._tensor(functional.kernel_distance(self.set("real"), self.set("fake")))


class PrecisionRecall(EvaluationMetric):
    """(precision, recall) with k neighbours and the rule distance <= radius."""

    higher_is_better = True

    def __init__(self, extractor: Extractor | nn.Module | str | None = None, k: int = 3, **kwargs: Any):
        super().__init__(extractor, **kwargs)
        self.k = k

    def compute(self) -> tuple[Tensor, Tensor]:
        precision, recall = functional.precision_recall(self.set("real"), self.set("fake"), self.k)
        return self._tensor(precision), self._tensor(recall)


class DensityCoverage(EvaluationMetric):
    """(density, coverage) with k neighbours and the rule distance <= radius."""

    higher_is_better = True

    def __init__(self, extractor: Extractor | nn.Module | str | None = None, k: int = 5, **kwargs: Any):
        super().__init__(extractor, **kwargs)
        self.k = k

    def compute(self) -> tuple[Tensor, Tensor]:
        density, coverage = functional.density_coverage(self.set("real"), self.set("fake"), self.k)
        return self._tensor(density), self._tensor(coverage)


class Authenticity(EvaluationMetric):
    """Percent of fakes that are no copies of reals."""

    higher_is_better = True

    def compute(self) -> Tensor:
        return self._tensor(functional.authenticity(self.set("real"), self.set("fake")))


class VendiScore(EvaluationMetric):
    """Effective number of different fakes; reals are ignored."""

    higher_is_better = True

    def compute(self) -> Tensor:
        return self._tensor(functional.vendi_score(self.set("fake")))


class InceptionScore(EvaluationMetric):
    """exp(mean KL) of all fakes in one split, from logits; reals are ignored.

    One split, since with more the score would depend on the order. Only sums over samples are kept. It may be called
    Inception score when the extractor is the published Inception.
    """

    higher_is_better = True

    def select(self, found: Extracted) -> Tensor:
        if self.extract is None:
            return found.features
        if found.logits is None:
            raise EvaluationError(f"extractor {self.extract.name} gives no logits; choose a classifier")
        return found.logits

    def _add(self, side: str, rows: Tensor) -> None:
        log_p = rows.log_softmax(1)
        p = log_p.exp()
        sums = torch.cat([p.new_tensor([float(len(p)), (p * log_p).nan_to_num(0.0).sum()]), p.sum(0)])
        parts = getattr(self, side)
        setattr(self, side, [parts[0] + sums, *parts[1:]] if parts else [sums])

    def compute(self) -> Tensor:
        if not len(self.fake):
            raise EvaluationError("no fake samples were given; call update(samples, real=False)")
        n, p_log_p, *sums = dim_zero_cat(self.fake).reshape(-1, 2 + int(self.columns)).sum(0)
        marginal = torch.stack(sums) / n
        return torch.exp(p_log_p / n - torch.special.xlogy(marginal, marginal).sum())


def _moments(rows: Tensor) -> Tensor:
    """(B, d) -> flat [count, mean, scatter about the mean]; unlike sums of squares it keeps digits at large offsets."""
    mean = rows.mean(0)
    centred = rows - mean
    return torch.cat([rows.new_tensor([float(len(rows))]), mean, (centred.T @ centred).flatten()])


def _unpacked(flat: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
    return flat[0], flat[1 : 1 + d], flat[1 + d :].reshape(d, d)


def _merged(parts: list[Tensor], d: int) -> Tensor:
    """The moments of the union (Chan, Golub and LeVeque 1979)."""
    total = parts[0]
    for part in parts[1:]:
        (n, mean, scatter), (m, other, more) = _unpacked(total, d), _unpacked(part, d)
        delta = other - mean
        both = scatter + more + torch.outer(delta, delta) * (n * m / (n + m))
        total = torch.cat([(n + m)[None], mean + delta * (m / (n + m)), both.flatten()])
    return total

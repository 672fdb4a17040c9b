"""Any metric in torchmetrics' shape, for use in other training loops: update(samples, real=...), compute(), reset()."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric as TorchMetricsMetric
from torchmetrics.utilities import dim_zero_cat

from genkit.core.errors import EvaluationError
from genkit.core.mixture import PointMixture
from genkit.evaluation.batches import check_batch
from genkit.evaluation.extractors.choice import extractor_for
from genkit.evaluation.extractors.extractor import Extracted, Extractor
from genkit.evaluation.functional.matrices import as_features
from genkit.evaluation.metrics.metric import LOGITS, Metric, Sides
from genkit.evaluation.metrics.scores_by_name import metric_named


class TorchMetric(TorchMetricsMetric):
    """A metric over batches of features, or of images when it is given an extractor: uint8, or floats in [-1, 1].

    The state is float64, so the result does not depend on batch sizes, processes or order. States are persistent
    (`state_dict` holds them) and merge over processes; a process may have seen nothing: they are lists of flat tensors,
    because torchmetrics can gather those also from a process without data.

    Args:
        metric: a name from `genkit list metrics`, or a metric with settings of your own, such as `PrecisionRecall(5)`.
        extractor: see `extractor_for`; None means that `update` is given features (or logits).
        seed, mixture: see `Sides`.
    """

    is_differentiable = False
    full_state_update = False
    columns: Tensor
    real: list[Tensor] | Tensor
    fake: list[Tensor] | Tensor

    def __init__(
        self,
        metric: str | Metric,
        extractor: Extractor | nn.Module | str | None = None,
        *,
        seed: int = 0,
        mixture: PointMixture | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.metric = metric_named(metric) if isinstance(metric, str) else metric
        self.extract = None if extractor is None else extractor_for(extractor)
        self.seed, self.mixture = seed, mixture
        self.set_dtype(torch.float64)
        self.add_state("columns", torch.zeros((), dtype=torch.float64), "max", persistent=True)
        for side in ("real", "fake"):
            self.add_state(side, [], "cat", persistent=True)

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """Whether a larger score is a better one."""
        return self.metric.scores[0].better == "higher"

    def update(self, samples: Tensor, real: bool) -> None:
        """Adds a batch of features (B, d), or of images when there is an extractor.

        Raises:
            EvaluationError: another shape, not finite, or another dimension than before.
            DataError: images out of range.
        """
        rows, side = self._rows(samples), "real" if real else "fake"
        parts = [*getattr(self, side), self.metric.keeps.of(rows)]
        setattr(self, side, self.metric.keeps.merged(parts, rows.shape[1]))

    def compute(self) -> Tensor | tuple[Tensor, ...]:
        """The score, or a tuple of them in the order of `metric.scores`.

        Raises:
            EvaluationError: too few samples.
        """
        real = self._side("real") if self.metric.compares else None
        found = self.metric(Sides(real, self._side("fake"), self.seed, self.mixture))
        values = [torch.tensor(found[name].value, dtype=torch.float64, device=self.device) for name in found]
        return values[0] if len(values) == 1 else tuple(values)

    def _rows(self, samples: Tensor) -> Tensor:
        """The features of a batch: (B, d) float64."""
        found = Extracted(samples, samples) if self.extract is None else self.extract(check_batch(samples, "batch"))
        wanted = found.logits if LOGITS in self.metric.needs else found.features
        if wanted is None:
            raise EvaluationError(f"extractor {self.extract.name} gives no logits; choose a classifier")  # type: ignore[union-attr]
        rows = as_features("features", wanted, least=1).to(self.device)
        if self.columns not in (0, rows.shape[1]):
            raise EvaluationError(f"features have {rows.shape[1]} dimensions, those before had {int(self.columns)}")
        self.columns = torch.tensor(float(rows.shape[1]), dtype=torch.float64, device=self.device)
        return rows

    def _side(self, name: str) -> Any:
        parts = getattr(self, name)
        if isinstance(parts, list) and not parts:
            raise EvaluationError(f"no {name} samples were given; call update(samples, real={name == 'real'})")
        return self.metric.keeps.side(dim_zero_cat(parts), int(self.columns), name)

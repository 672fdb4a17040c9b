"""Modes that a classifier can tell apart: as StackedMNIST is judged."""

from __future__ import annotations

import math

import torch

from genkit.core.errors import EvaluationError
from genkit.evaluation.metrics.metric import LOGITS, NO_LOGITS, SAMPLES, Estimate, Metric, Scale, Sides


class ClassModes(Metric):
    """Classes that samples are of, KL(their shares || uniform over all classes) in nats, and its confidence.

    Metz et al. 2017, Sec. 3.3.1; Srivastava et al. 2017, Sec. 5.1. Of n samples that are even over C classes the KL is
    (C - 1) / (2 n) in the mean, so compare equal n. `confidence` is the mean probability of a sample's class.
    """

    scores = (
        Scale("classes_found", "higher", 0.0, math.inf),
        Scale("class_kl", "lower", 0.0, math.inf),
        Scale("confidence", "higher", 0.0, 1.0),
    )
    needs = frozenset({SAMPLES, LOGITS})
    compares = False

    def __call__(self, sides: Sides) -> dict[str, Estimate]:
        logits = sides.fake.logits
        if logits is None:
            raise EvaluationError(NO_LOGITS)
        sure, found = logits.double().softmax(1).max(1)
        n, classes = logits.shape
        shares = torch.bincount(found, minlength=classes).double() / n
        surprise = (shares[found] * classes).log()
        return {
            "classes_found": Estimate(float((shares > 0).sum())),
            "class_kl": Estimate(float(surprise.mean()), lambda: float(surprise.std() / math.sqrt(n))),
            "confidence": Estimate(float(sure.mean()), lambda: float(sure.std() / math.sqrt(n))),
        }

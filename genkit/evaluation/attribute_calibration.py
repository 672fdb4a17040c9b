"""Distances of real images by what a predictor or a measure says of them, and thresholds of a contrastive loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError
from genkit.core.evaluating import evaluating
from genkit.core.progress import Progress
from genkit.evaluation.attributes import ROWS, Predicting

DISTANCES = ("squared", "mean_absolute")
"""The sum of the squared differences of two embeddings, and the mean of the absolute ones; of matrices also `gram`."""
GRAM = 1e5
"""A gram distance is so many mean squares."""

QUANTILES = (0.05, 0.25, 0.5, 0.7, 0.95)
NOISE = 0.05
SAME, NOISY, DIFFERENT = 0.05, 0.95, 0.7
"""tau_plus is this share of the mean distance, or this quantile of the noise; tau_minus is this quantile."""


@dataclass(frozen=True)
class Calibration:
    """Of one attribute and one distance.

    Attributes:
        noise: 95 % quantile of the distance of an image from itself, slightly changed.
        mean: of the distance of two images.
        quantiles: of the same, at QUANTILES.
        tau_plus: the larger of noise and 5 % of the mean.
        tau_minus: the 70 % quantile.
    """

    noise: float
    mean: float
    quantiles: tuple[float, ...]
    tau_plus: float
    tau_minus: float

    @property
    def usable(self) -> bool:
        """Whether images that share the attribute can be told from such that do not."""
        return self.tau_plus < self.tau_minus


Embed = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) -> the embeddings (B, ...) that are compared."""
Calibrations = dict[str, dict[str, Calibration]]
"""attribute -> distance -> what was found."""


def embeddings_of(predictor: Predicting) -> dict[str, Embed]:
    """attribute -> its embedding of images, on the predictor's device."""

    def embed(x: Tensor, name: str) -> Tensor:
        with evaluating(predictor):  # type: ignore[arg-type]
            return predictor.embed(x.to(predictor.device), name)

    return {name: partial(embed, name=name) for name in predictor.conditions}


def calibrate(
    embeddings: Mapping[str, Embed],
    data: Any,
    n: int = 2000,
    seed: int = 0,
    noise: float = NOISE,
    progress: Progress | None = None,
) -> Calibrations:
    """Noise, distances and thresholds of every attribute.

    Args:
        embeddings: attribute -> what is compared of images, as `embeddings_of` a predictor.
        data: real images, see genkit.data.dataset.DataSet; their attributes are not looked at.
        n: images; all when there are fewer. Each is compared with itself plus normal noise, and with the next one.
        seed: of the images and the noise.
        noise: its standard deviation, for images in [-1, 1].
        progress: called with (images done, in total).

    Raises:
        EvaluationError: fewer than two images.
    """
    rng = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(data), generator=rng)[:n]
    if len(chosen) < 2:
        raise EvaluationError(f"{data.name}: pairs need at least 2 images, got {len(chosen)}")
    plain: dict[str, list[Tensor]] = {name: [] for name in embeddings}
    changed: dict[str, list[Tensor]] = {name: [] for name in embeddings}
    with torch.no_grad():
        for done, index in enumerate(chosen.split(ROWS)):
            x = data.rows(index)
            other = (x + noise * torch.randn(x.shape, generator=rng)).clamp(-1, 1)
            for name, embed in embeddings.items():
                plain[name].append(embed(x).cpu().double())
                changed[name].append(embed(other).cpu().double())
            if progress:
                progress(min((done + 1) * ROWS, len(chosen)), len(chosen))
    return {name: _calibrated(torch.cat(plain[name]), torch.cat(changed[name])) for name in plain}


def _calibrated(plain: Tensor, changed: Tensor) -> dict[str, Calibration]:
    noises, pairs = distances(plain, changed), distances(plain, plain.roll(1, 0))
    return {name: _of(noises[name], pairs[name]) for name in pairs}


def distances(a: Tensor, b: Tensor) -> Mapping[str, Tensor]:
    """(n,) of each of DISTANCES, of embeddings (n, ...)."""
    apart = (a - b).reshape(len(a), -1)
    found = dict(zip(DISTANCES, (apart.square().sum(1), apart.abs().mean(1)), strict=True))
    return found | ({"gram": GRAM * apart.square().mean(1)} if a.dim() == 3 else {})


def _of(noises: Tensor, pairs: Tensor) -> Calibration:
    noise, mean = noises.quantile(NOISY).item(), pairs.mean().item()
    quantiles = tuple(pairs.quantile(torch.tensor(QUANTILES, dtype=pairs.dtype)).tolist())
    return Calibration(noise, mean, quantiles, max(noise, SAME * mean), quantiles[QUANTILES.index(DIFFERENT)])

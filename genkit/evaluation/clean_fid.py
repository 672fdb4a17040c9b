"""Reference statistics that clean-fid publishes (Parmar et al. 2022), found and downloaded by clean-fid itself."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor

from genkit.core.errors import EvaluationError, first_line, shown
from genkit.evaluation.extractors.inception import clean_without_weights
from genkit.evaluation.statistics_file import Statistics

PREFIX = "clean-fid:"
URL = "https://www.cs.cmu.edu/~clean-fid/stats/"
DIMENSIONS = 2048
RESOLUTIONS = {"cifar10": "32", "cifar100": "32"}
"""Data set -> side length in pixels, where it has one alone."""

COUNTS = {("cifar10", "train"): 50_000, ("cifar10", "test"): 10_000}
"""Samples behind the files, which do not say; of sets whose splits are known."""


@dataclass(frozen=True)
class CleanFidStatistics:
    """`clean-fid:<data>/<split>` or `clean-fid:<data>/<split>/<side length>`.

    They are features of the published Inception after clean-fid's resize, those of the extractor `inception/clean`.

    Attributes:
        data, split: as clean-fid calls them, such as cifar10 and train, ffhq and trainval70k.
        size: side length of the images in pixels.
    """

    data: str
    split: str
    size: str

    @classmethod
    def named(cls, text: str, role: str) -> CleanFidStatistics:
        """Raises EvaluationError unless `text` has this form."""
        parts = text.removeprefix(PREFIX).split("/")
        if len(parts) == 2 and parts[0] in RESOLUTIONS:
            parts.append(RESOLUTIONS[parts[0]])
        plain = all(part and part.replace("_", "").replace("-", "").isalnum() for part in parts)
        if len(parts) != 3 or not plain or not parts[2].isdecimal():
            raise EvaluationError(
                f"{role}: {shown(text)} is not clean-fid:<data>/<split>/<side length>, such as clean-fid:cifar10/train "
                "or clean-fid:ffhq/trainval70k/256"
            )
        return cls(*parts)

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.data}/{self.split}/{self.size}"

    @property
    def path(self) -> Path:
        """The path at which clean-fid keeps the file."""
        import cleanfid

        file = f"{self.data}_clean_{self.split}_{self.size}.npz".lower()
        return Path(os.path.dirname(str(cleanfid.__file__))) / "stats" / file

    def read(self) -> Statistics:
        """The statistics, downloaded unless they were before.

        Raises:
            EvaluationError: they cannot be had, or are damaged.
        """
        mu, sigma = self._arrays()
        if (
            mu.shape != (DIMENSIONS,)
            or sigma.shape != (DIMENSIONS, DIMENSIONS)
            or not (mu.sum() + sigma.sum()).isfinite()
        ):
            raise EvaluationError(
                f"{self.path} is damaged: mean {tuple(mu.shape)}, covariance {tuple(sigma.shape)}; delete it"
            )
        extractor, n = clean_without_weights(), COUNTS.get((self.data, self.split))
        return Statistics(mu, sigma, n, self.name, extractor.describe(), extractor.id, self.path.name, seed=0)

    def _arrays(self) -> tuple[Tensor, Tensor]:
        from cleanfid.features import get_reference_statistics

        path = self.path
        there = path.exists()
        try:
            with redirect_stdout(StringIO()):  # it tells of its download on stdout
                found = get_reference_statistics(self.data, self.size, mode="clean", split=self.split)
            mu, sigma = (torch.from_numpy(array).double() for array in found)
        except BaseException as failure:
            if not there:
                path.unlink(missing_ok=True)  # half a download
            if not isinstance(failure, Exception):
                raise
            raise EvaluationError(self._why(failure, there)) from failure
        return mu, sigma

    def _why(self, failure: Exception, there: bool) -> str:
        reason = first_line(failure)
        if there:
            return f"{self.path} is damaged ({reason}); delete it"
        return (
            f"{self.name} cannot be downloaded ({reason}); fetch {URL}{self.path.name} elsewhere and put it into "
            f"{self.path.parent}"
        )

"""Mean and covariance of a data set's features in a file that says which extractor they belong to."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genkit import __version__
from genkit.core.arrays import read_npz
from genkit.core.documents import parse_json
from genkit.core.errors import EvaluationError, first_line
from genkit.core.files import write_atomically
from genkit.evaluation.extractors.extractor import Extractor, FeatureGaussian
from genkit.evaluation.extractors.inception import SHA256 as INCEPTION_SHA256
from genkit.evaluation.functional.frechet import rank_of
from genkit.evaluation.functional.matrices import as_features

FORMAT = "genkit statistics 1"
DIMENSIONS = 2**13
"""Most features in a file; more than any extractor has."""


@dataclass(frozen=True, eq=False)
class Statistics(FeatureGaussian):
    """The Gaussian fitted to n feature rows; enough for the Frechet distance, not for other metrics.

    Attributes:
        mu, sigma: (d,) and (d, d) float64, covariance with n - 1.
        n: number of samples; None if the file does not say.
        name: of the data.
        extractor: `Extractor.describe()`.
        extractor_id: `Extractor.id`; statistics of another id are never compared.
        fingerprint: hash of the data's content.
        seed: of the choice of rows.
    """

    name: str
    extractor: dict[str, Any]
    extractor_id: str
    fingerprint: str
    seed: int

    @classmethod
    def of(cls, features: Tensor, extractor: Extractor, name: str, fingerprint: str, seed: int) -> Statistics:
        """Statistics of (n, d) features, in float64."""
        x = as_features(f"features of {name}", features)
        described = extractor.describe()
        return cls(
            x.mean(0), x.T.cov().reshape(x.shape[1], -1), len(x), name, described, extractor.id, fingerprint, seed
        )

    @property
    def rank(self) -> int:
        return rank_of(self.sigma)

    @property
    def published(self) -> bool:
        """Whether the hash, not merely the file's word, says that these are features of the published Inception."""
        return self.extractor_id.startswith("inception/") and self.extractor_id.endswith(f"/{INCEPTION_SHA256}")

    def check(self, extractor: Extractor) -> None:
        """Raises EvaluationError when these are statistics of another extractor."""
        if self.extractor_id != extractor.id:
            raise EvaluationError(
                f"{self.name} holds statistics of extractor {_short(self.extractor_id)}, not of "
                f"{_short(extractor.id)}; make new ones with 'genkit stats' or choose that extractor"
            )

    def save(self, path: str | Path) -> None:
        """Writes an .npz without pickles: mu, sigma, and `about`, a JSON text.

        Raises:
            CheckpointError: it cannot be written.
        """
        about = {
            "format": FORMAT,
            "genkit": __version__,
            "n": self.n,
            "name": self.name,
            "extractor": self.extractor,
            "extractor_id": self.extractor_id,
            "fingerprint": self.fingerprint,
            "seed": self.seed,
        }
        file = io.BytesIO()
        np.savez(file, mu=self.mu.numpy(), sigma=self.sigma.numpy(), about=np.array(json.dumps(about)))
        write_atomically(Path(path), file.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Statistics:
        """Reads a file of `save`.

        Raises:
            EvaluationError: damaged, of another tool (which extractor made it, nobody knows), or no statistics.
        """
        try:
            arrays = read_npz(Path(path), {"about": 1, "mu": DIMENSIONS, "sigma": DIMENSIONS**2})
            about = parse_json(str(arrays["about"])) if "about" in arrays else None
            mu, sigma = (_floats(arrays[name]) for name in ("mu", "sigma"))
        except Exception as damage:  # a damaged archive can break numpy, zipfile or zlib anywhere
            raise EvaluationError(f"{path} is no readable statistics file ({first_line(damage)})") from damage
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise EvaluationError(
                f"{path} does not say which extractor made it; make others with 'genkit stats DATA --out NEW.npz'"
            )
        return cls._from(path, torch.from_numpy(mu), torch.from_numpy(sigma), about)

    @classmethod
    def _from(cls, path: str | Path, mu: Tensor, sigma: Tensor, about: dict[str, Any]) -> Statistics:
        d = len(mu) if mu.dim() == 1 else -1
        finite = mu.isfinite().all() and sigma.isfinite().all()
        try:
            n, seed = int(about["n"]), int(about["seed"])
            texts = [str(about[key]) for key in ("name", "extractor_id", "fingerprint")]
            extractor = dict(about["extractor"])
        except (KeyError, TypeError, ValueError, OverflowError) as missing:
            raise EvaluationError(f"{path} is damaged: its description lacks {first_line(missing)}") from missing
        if d < 1 or sigma.shape != (d, d) or not finite or n < 2:
            raise EvaluationError(f"{path} is damaged: mean {tuple(mu.shape)}, covariance {tuple(sigma.shape)}, n {n}")
        return cls(mu, sigma, n, texts[0], extractor, texts[1], texts[2], seed)


def _floats(array: NDArray[Any]) -> NDArray[np.float64]:
    if array.dtype.kind != "f":
        raise ValueError(f"holds {array.dtype} instead of floats")
    return array.astype(np.float64)


def _short(extractor_id: str) -> str:
    """name/resize/size/first hex digits."""
    head, _, digest = extractor_id.rpartition("/")
    return f"{head}/{digest[:8]}"

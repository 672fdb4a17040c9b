"""Log-likelihood of real data under a generator, or a bound on it."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, get_type_hints

import torch
from torch import Tensor

from genkit.core.catalog import convert
from genkit.core.counts import count
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError, kind_of
from genkit.core.generator import Density, Generator
from genkit.core.generator import Likelihood as Found
from genkit.core.progress import Progress
from genkit.core.randomness import seeds_of_rows
from genkit.evaluation.real_data import open_data
from genkit.evaluation.scores import versions

BINARISATION = 777_000_000
"""Seed of the numbers that make row 0 black and white; the next row has the next seed."""
COMMON = {"self", "x", "condition", "rng"}


@dataclass(frozen=True)
class Likelihoods:
    """Log-likelihoods of some rows of a data set.

    Attributes:
        generator, data: names.
        fingerprint: of the data.
        bound: kind of the numbers, see genkit.core.generator.Likelihood.
        nats: (n,) float64, of each row.
        parts, spread: name -> (n,), see genkit.core.generator.Likelihood.
        rows: (n,) int64, numbers of the rows in the data.
        dims: numbers in one sample.
        binarised: whether grey images were made black and white first.
        seed: of the choice of rows and of the noise.
        settings: of the generator's `log_likelihood`, such as `samples`.
        seconds: wall time.
        warnings: to be read before comparing.
    """

    generator: str
    data: str
    fingerprint: str
    bound: str
    nats: Tensor
    parts: dict[str, Tensor]
    spread: dict[str, Tensor]
    rows: Tensor
    dims: int
    binarised: bool
    seed: int
    settings: dict[str, Any]
    seconds: float
    warnings: list[str] = field(default_factory=list)

    @property
    def bits_per_dim(self) -> Tensor:
        """(n,): -nats / (dims log 2)."""
        return -self.nats / (self.dims * math.log(2))

    def to_json(self) -> dict[str, Any]:
        """Plain data; means and standard errors over rows by name, `nats_of_each` beside `rows`."""
        columns = {"nats": self.nats, "bits_per_dim": self.bits_per_dim, **self.parts, **self.spread}
        return {
            "values": {name: values.mean().item() for name, values in columns.items()},
            "standard_errors": {name: standard_error(values) for name, values in columns.items()},
            "better": {"nats": "higher", "bits_per_dim": "lower"},
            "bound": self.bound,
            "parts": list(self.parts),
            "spread": {name: _extremes(values) for name, values in self.spread.items()},
            "generator": self.generator,
            "against": {"name": self.data, "n": len(self.rows), "fingerprint": self.fingerprint},
            "binarised": self.binarised,
            "dims": self.dims,
            "seed": self.seed,
            "settings": self.settings,
            "warnings": self.warnings,
            "seconds": self.seconds,
            "versions": versions(),
            "rows": self.rows.tolist(),
            "nats_of_each": self.nats.tolist(),
        }


def log_likelihood(
    generator: Generator,
    data: Any,
    n: int = 1000,
    seed: int = 0,
    batch_size: int = 32,
    progress: Progress | None = None,
    *,
    role: str = "the data",
    skip_bad: bool = False,
    crew: Crew = ALONE,
    **settings: Any,
) -> Likelihoods:
    """The log-likelihood that `generator` gives to rows of `data`; the same seed gives the same rows and numbers.

    Grey images are binarised once for a generator of black and white pixels: a pixel is white where a uniform number
    lies below its grey level, and these numbers depend on the row alone, not on seed or generator. So generators are
    compared on the very same images, as rows of the same seed: differences are paired.

    Args:
        generator: one with a `log_likelihood`.
        data, role, skip_bad: see `open_data`; labels go to a generator that takes them.
        n: rows, drawn without replacement; all when there are fewer.
        seed: of the rows and of the noise.
        batch_size: rows at a time; changes speed alone.
        progress: called with (rows done, in total).
        crew: processes that share the rows, batch by batch, and have the same numbers; each of them calls this.
        settings: further arguments of its `log_likelihood`, such as `samples` or `steps`.

    Raises:
        EvaluationError: a generator without a likelihood, a setting that it does not take, n below 1.
        DataError: data of another shape.
    """
    density, settings = _checked(generator, n, settings)
    started, data = time.monotonic(), open_data(data, generator.sample_shape, role, skip_bad)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:n]
    made, rng = dict[int, Found](), torch.Generator().manual_seed(seed)
    for k, index in enumerate(rows.split(batch_size)):
        if not crew.has(k):
            seeds_of_rows(len(index), rng)
            continue
        x, condition = _batch(generator, data, index)
        made[k] = _on_cpu(density.log_likelihood(x, condition=condition, rng=rng, **settings))
        if progress:
            progress(min((k + 1) * batch_size, len(rows)), len(rows))
    found = crew.gathered(made)
    nats, parts, spread = _joined(found)
    return Likelihoods(
        type(generator).__name__,
        data.name,
        str(data.fingerprint),
        found[0].bound,
        nats,
        parts,
        spread,
        rows,
        math.prod(generator.sample_shape),
        generator.binary,
        seed,
        settings,
        time.monotonic() - started,
        list(_warnings(data, n, nats, spread)),
    )


def standard_error(values: Tensor) -> float | None:
    """Standard error of the mean over rows; None for one row."""
    return (values.double().std() / math.sqrt(len(values))).item() if len(values) > 1 else None


def binarised(x: Tensor, rows: Tensor) -> Tensor:
    """Images (B, C, H, W) in [-1, 1] -> -1 or 1, from uniform numbers that depend on the row (B,) alone."""
    streams = (torch.Generator().manual_seed(BINARISATION + row) for row in rows.tolist())
    uniform = torch.stack([torch.rand(x.shape[1:], generator=stream) for stream in streams])
    return torch.where(uniform.to(x.device) < (x + 1) / 2, 1.0, -1.0)


def _checked(generator: Generator, n: int, settings: dict[str, Any]) -> tuple[Density, dict[str, Any]]:
    if not isinstance(generator, Density):
        raise EvaluationError(
            f"{kind_of(generator)} cannot say how probable a sample is; a VAE or a diffusion model can"
        )
    n = count("number of samples", n, refusal=EvaluationError)
    takes = [name for name in inspect.signature(generator.log_likelihood).parameters if name not in COMMON]
    for name in settings:
        if name not in takes:
            raise EvaluationError(
                f"the likelihood of {kind_of(generator)} takes no {name!r}; it takes: {', '.join(takes) or '-'}"
            )
    hints = get_type_hints(generator.log_likelihood, include_extras=True)
    return generator, {name: convert(hints[name], value, where=name) for name, value in settings.items()}


def _batch(generator: Generator, data: Any, index: Tensor) -> tuple[Tensor, dict[str, Tensor] | None]:
    x = data.rows(index)
    x = binarised(x, index) if generator.binary else x
    condition = {k: v for k, v in data.condition(index).items() if k in generator.conditions}
    return x.to(generator.device), condition or None


def _on_cpu(found: Found) -> Found:
    parts, spread = ({name: of.cpu().double() for name, of in part.items()} for part in (found.parts, found.spread))
    return replace(found, nats=found.nats.cpu().double(), parts=parts, spread=spread)


def _joined(found: list[Found]) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    first = found[0]
    parts = {name: torch.cat([f.parts[name] for f in found]) for name in first.parts}
    spread = {name: torch.cat([f.spread[name] for f in found]) for name in first.spread}
    return torch.cat([f.nats for f in found]), parts, spread


def _extremes(values: Tensor) -> dict[str, float]:
    return {"mean": values.mean().item(), "median": values.median().item(), "min": values.min().item()}


def _warnings(data: Any, n: int, nats: Tensor, spread: dict[str, Tensor]) -> Iterator[str]:
    if len(data) < n:
        yield f"{data.name}: {len(data)} samples instead of {n}"
    yield from data.remarks()
    if not nats.isfinite().all():
        yield f"{int((~nats.isfinite()).sum())} of {len(nats)} samples have no finite likelihood"
    weights = spread.get("effective_sample_size")
    if weights is not None and (few := int((weights < 2).sum())):
        yield f"for {few} of {len(nats)} samples one latent carries most of the weight: use more samples"

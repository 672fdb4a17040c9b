"""Scores of single images by a generator: an energy, a likelihood, an outlier score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError, GenkitError, kind_of
from genkit.core.generator import Density, Generator
from genkit.core.progress import Progress
from genkit.core.randomness import seeds_of_rows
from genkit.core.scores_images import ScoresImages
from genkit.evaluation.real_data import open_data


def image_scores(
    generator: Generator,
    images: Any,
    seed: int = 0,
    batch_size: int = 32,
    progress: Progress | None = None,
    skip_bad: bool = False,
    crew: Crew = ALONE,
) -> tuple[Any, dict[str, Tensor]]:
    """The data set that `images` names, and (N,) float64 by name for its rows, in their order.

    `outlier_score` is among them: higher, the more unusual. A generator with a likelihood alone has its negative.

    Args:
        generator: one with scores of images, such as a VAEBM, or one with a `log_likelihood`.
        images: see `open_data`.
        seed: of the noise that a bound needs; row i is the same at any batch size.
        batch_size: rows at a time.
        progress: called with (rows done, in total).
        crew: processes that share the rows, batch by batch, and have the same scores; each of them calls this.

    Raises:
        EvaluationError: a generator without scores of images.
        DataError: data of another shape, or files that cannot be read.
    """
    if not isinstance(generator, (ScoresImages, Density)):
        raise EvaluationError(f"{kind_of(generator)} says nothing of images: it has neither an energy nor a likelihood")
    data, rng = open_data(images, generator.sample_shape, "IMAGES", skip_bad), torch.Generator().manual_seed(seed)
    made = dict[int, dict[str, Tensor]]()
    for k, index in enumerate(torch.arange(len(data)).split(batch_size)):
        if not crew.has(k):
            seeds_of_rows(len(index), rng)
            continue
        x = data.rows(index).to(generator.device)
        condition = {k: v for k, v in data.condition(index).items() if k in generator.conditions}
        try:
            scores = _scores(generator, x, condition, rng)
        except GenkitError as failure:
            raise EvaluationError(f"{data.name}, rows {index[0]} to {index[-1]}: {failure}") from failure
        made[k] = {name: of.cpu().double() for name, of in scores.items()}
        if progress:
            progress(int(index[-1]) + 1, len(data))
    parts = crew.gathered(made)
    return data, {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _scores(generator: Any, x: Tensor, condition: Mapping[str, Tensor], rng: torch.Generator) -> Mapping[str, Tensor]:
    if isinstance(generator, ScoresImages):
        return generator.image_scores(x, rng=rng)
    nats = generator.log_likelihood(x, condition=condition or None, rng=rng).nats
    return {"log_likelihood": nats, "outlier_score": -nats}

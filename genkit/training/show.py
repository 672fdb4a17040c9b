"""The averaged copy shown: pictures and scores, which all processes make together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor

from genkit.core.catalog import build
from genkit.core.crew import ALONE, Crew
from genkit.core.files import write_atomically
from genkit.core.generator import Generator, Pictured
from genkit.core.interruption import StopFlag
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import stable_seed
from genkit.images.grid import grid, labelled_png
from genkit.images.pixels import png_bytes
from genkit.images.scatter import points_png
from genkit.training.log import MetricsLog
from genkit.training.recipe import Evaluate, Recipe
from genkit.training.sharing import shared
from genkit.training.trainer import Trainer
from genkit.training.watcher import Watcher

T = TypeVar("T")

DRAWING = "drawing samples"
"""The work of a picture, for a watcher."""


class Scoring:
    """The scoring of a run: its reference and judge, opened once, before training.

    Args:
        wanted: the recipe's section `evaluate`.
        product: the module that is trained.
        data: the training data, the reference where the recipe names no other.

    Raises:
        RecipeError: data that cannot score `product`; raised now rather than after hours of training.
    """

    def __init__(self, wanted: Evaluate, product: Pretrained, data: Any):
        from genkit.evaluation.judges import judge_of

        self.wanted, self.judge, self.data = wanted, judge_of(product), data
        self._floor: dict[str, Any] | None = None
        self.against = build(wanted.against, kind="data", where="evaluate.against") if wanted.against else data
        self.judge.check_reference(wanted, product, self.against)

    def scores(self, product: Any, seed: int, watcher: Watcher, crew: Crew) -> dict[str, Any]:
        """The content of scores.json for `product`, the same in all processes; its `floor` is what real samples get."""
        made = self.judge.scores(product, self.against, self.wanted, seed, partial(watcher.work, "scoring"), crew)
        if self._floor is None and hasattr(self.judge, "floor"):
            real = partial(watcher.work, "scoring real samples")
            self._floor = self.judge.floor(self.data, self.against, self.wanted, 0, real, crew)
        return crew.broadcast(made | ({"floor": self._floor} if self._floor else {}))


class Show:
    """Pictures and scores of the averaged copy of `trainer`.

    Args:
        scoring: where the recipe asks for scores.
        data: the training data.
    """

    def __init__(
        self,
        recipe: Recipe,
        trainer: Trainer,
        accelerator: Accelerator,
        watcher: Watcher,
        log: MetricsLog,
        scoring: Scoring | None,
        data: Any,
    ):
        self.recipe, self.trainer, self.accelerator, self.watcher = recipe, trainer, accelerator, watcher
        self.log, self.scoring, self.data = log, scoring, data

    def to(self, work: Callable[[Any, Crew], T], stop: StopFlag) -> T:
        """The result of `work` on the averaged copy, by all processes; raises as `shared`."""

        def on_average(crew: Crew) -> T:
            product = self.trainer.averaged()
            with self.trainer.system.for_inference(product, crew):
                return work(product, crew)

        return shared(self.accelerator, on_average, stop)

    def picture(self, path: Path, stop: StopFlag) -> None:
        """Draws the averaged copy to `path`, if it can be pictured; raises as `to`."""

        def draw(product: Any, crew: Crew) -> None:
            draw_samples(product, path, seed=stable_seed(self.recipe.train.seed, "grid"), data=self.data, crew=crew)

        if isinstance(self.trainer.ema.module, Pictured):
            self.watcher.work(DRAWING, 0, 1)
            self.to(draw, stop)
            self.watcher.work(DRAWING, 1, 1)

    def real(self, path: Path) -> None:
        """Draws real images to `path`, in the layout of `picture`; by the first process alone."""
        draw_real(self.trainer.ema.module, self.data, path, seed=stable_seed(self.recipe.train.seed, "real"))

    def scores(self, stop: StopFlag, best: Mapping[str, Any] | None, seed: int) -> tuple[dict[str, Any], bool]:
        """The content of scores.json, and whether it beats `best` of the first process; raises as `to`.

        Logged as well.
        """
        wanted, scoring = self.recipe.evaluate, self.scoring
        if not wanted or not scoring:
            return {}, False

        def score(product: Any, crew: Crew) -> tuple[dict[str, Any], bool]:
            scores = scoring.scores(product, seed, self.watcher, crew)
            return scores, crew.broadcast(is_better(scores, wanted.best, best))

        scores, better = self.to(score, stop)
        if self.accelerator.is_main_process:
            values = {f"eval/{name}": value for name, value in scores["values"].items()}
            self.log.write(self.trainer.step, values)
            self.accelerator.log(values, step=self.trainer.step)
        return scores, better


def draw_samples(product: Pictured, path: Path, *, seed: int, data: Any = None, crew: Crew = ALONE) -> None:
    """Draws samples of `product` to `path`: a grid of images, or a scatter of points beside the first of `data`.

    Conditions that cannot be drawn at random are taken from `data`. The processes of `crew` make them together, and the
    first one writes."""
    if data is not None and isinstance(product, Generator):
        product = product.over(data)
    samples, columns = product.pictured(torch.Generator().manual_seed(seed), crew)
    if crew.rank:
        return
    if samples.dim() == 4:
        write_atomically(path, _png(samples, columns, getattr(product, "column_names", ())))
    else:
        points_png(samples, path, data=None if data is None else data.x[: len(samples)])


def draw_real(product: Any, data: Any, path: Path, *, seed: int) -> None:
    """Draws real images to `path` as samples of `product` are drawn: a class a column where samples are so; no points.

    Args:
        data: the training data, a genkit.data.dataset.DataSet.
    """
    if len(data.sample_shape) != 3:
        return
    columns = getattr(product, "column_classes", ()) if data.labels is not None else ()
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    if not columns:
        write_atomically(path, _png(data.rows(order[: 8 * 8]), 8, ()))
        return
    shown = torch.ones(8, len(columns), *data.sample_shape)
    for k, label in enumerate(columns):
        start = 8 * columns[:k].count(label)
        rows = data.rows(order[data.labels[order] == label][start : start + 8])
        shown[: len(rows), k] = rows
    write_atomically(path, _png(shown.flatten(0, 1), len(columns), product.column_names))


def _png(images: Tensor, columns: int, heads: Sequence[str]) -> bytes:
    return labelled_png(images, heads) if len(heads) == columns else png_bytes(grid(images, columns))


def is_better(scores: Mapping[str, Any], metric: str, best: Mapping[str, Any] | None) -> bool:
    """Whether `scores` beat the best so far by `metric`; a score that could not be computed beats nothing."""
    if not math.isfinite(scores["values"].get(metric, math.nan)):
        return False
    if best is None:
        return True
    gain = scores["values"][metric] - best["value"]
    return bool(gain > 0 if scores["better"][metric] == "higher" else gain < 0)

"""From a recipe to a trainer at iteration 0, everything checked against everything else before time is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import Accelerator

from genkit.classifying import Classifying
from genkit.errors import EvaluationError, RecipeError, suggest
from genkit.pretrained import Pretrained, Starting, name_classes
from genkit.recipe import Evaluate, Recipe
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer


def prepare(recipe: Recipe, accelerator: Accelerator) -> tuple[Any, Trainer]:
    """The data and a trainer at iteration 0, everything checked against everything else."""
    data, system, train = recipe.build_data(), recipe.build_system(), recipe.train
    if recipe.evaluate:
        check_evaluation(recipe.evaluate, system.product)
    system.check_data(data.sample_shape, data.conditions)
    if not system.product.class_names:
        name_classes(system.product, data.conditions.class_names)
    system.meet(data)
    for module in system.modules():
        if isinstance(module, Starting):
            module.fetch_start()
    if train.mirror and len(data.sample_shape) != 3:
        raise RecipeError("train.mirror: only images can be mirrored")
    stream = Stream(
        data,
        train.batch_size,
        seed=train.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        mirror=train.mirror,
    )
    trainer = Trainer(
        system,
        stream,
        recipe.build_optimizers(),
        steps=train.steps,
        accumulate=train.accumulate,
        ema_decay=train.ema,
        channels_last=train.channels_last,
        compile=train.compile,
        accelerator=accelerator,
    )
    return data, trainer


def check_evaluation(wanted: Evaluate, product: Pretrained) -> None:
    """Raises RecipeError for a metric or extractor that does not exist, hours before it would be needed."""
    if isinstance(product, Classifying):
        if list(wanted.metrics) != ["accuracy"] or wanted.best != "accuracy":
            raise RecipeError("evaluate: a classifier is scored by metrics: [accuracy] and best: accuracy")
        return
    from genkit.evaluation import EXTRACTORS
    from genkit.evaluation.metrics_by_name import NEIGHBOURS, check_metrics

    try:
        names = [score for metric in check_metrics(wanted.metrics) for score in NEIGHBOURS.get(metric, (metric,))]
    except EvaluationError as error:
        raise RecipeError(f"evaluate.metrics: {error}") from error
    if wanted.best not in names:
        raise RecipeError(f"evaluate.best: {wanted.best!r} is not scored{suggest(wanted.best, names)}")
    if wanted.extractor and wanted.extractor not in EXTRACTORS and not Path(wanted.extractor).exists():
        raise RecipeError(f"evaluate.extractor: no {wanted.extractor!r}{suggest(wanted.extractor, EXTRACTORS)}")

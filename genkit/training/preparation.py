"""From a recipe to a trainer at iteration 0, everything checked against everything else before time is spent."""

from __future__ import annotations

from typing import Any

from accelerate import Accelerator

from genkit.core.errors import RecipeError
from genkit.core.foresight import check_paths, promised_shape
from genkit.core.frozen import is_frozen
from genkit.core.pretrained import Pretrained, Starting, name_classes
from genkit.core.system import System
from genkit.training.ema import HalfLife
from genkit.training.loss_scale import check_scaled
from genkit.training.optimizers import Optimizer
from genkit.training.recipe import Evaluate, Recipe
from genkit.training.show import Scoring
from genkit.training.stream import Stream, share_of
from genkit.training.trainable import check_compiled, check_learners, check_products, check_split
from genkit.training.trainer import Trainer

AHEAD = 2
"""Batches that are read ahead where rows come from a disk; of rows in memory the thread costs more than it gives."""


def prepare(recipe: Recipe, accelerator: Accelerator) -> tuple[Any, Trainer]:
    """The data and a trainer at iteration 0; errors as `prepare_run`."""
    return prepare_run(recipe, accelerator)[:2]


def prepare_run(recipe: Recipe, accelerator: Accelerator) -> tuple[Any, Trainer, Scoring | None]:
    """The data, a trainer at iteration 0 and, where the recipe asks for scores, its scoring.

    Everything is checked against everything else, the data last.

    Raises:
        RecipeError, DataError: parts that do not fit; seen before any file is decoded if the recipe alone shows it.
    """
    train, (system, optimizers) = recipe.train, checked(recipe, accelerator.num_processes)
    data = recipe.build_data()
    if train.mirror and (sided := getattr(data, "sided", ())):
        raise RecipeError(f"train.mirror: a mirrored image of {data.name} has another {', '.join(sided)}; leave it out")
    system.check_data(data.sample_shape, data.conditions)
    system.check(data)
    if not system.product.class_names:
        name_classes(system.product, data.conditions.class_names)
    scoring = Scoring(recipe.evaluate, system.product, data) if recipe.evaluate else None
    system.setup(data)
    for module in system.modules():
        if isinstance(module, Starting) and not is_frozen(module):
            module.setup()
    stream = Stream(
        data,
        train.batch_size,
        seed=train.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
        device=accelerator.device,
        mirror=train.mirror,
        balanced=train.balanced,
        ahead=AHEAD if getattr(data, "mapped", False) else 0,
    )
    trainer = Trainer(
        system,
        stream,
        optimizers,
        steps=train.steps,
        accumulate=train.accumulate,
        ema_decay=HalfLife(train.ema_images, train.batch_size, train.ema_ramp) if train.ema_images else train.ema,
        channels_last=train.channels_last,
        compile=train.compile,
        deterministic=train.deterministic,
        accelerator=accelerator,
    )
    return data, trainer, scoring


def checked(recipe: Recipe, processes: int = 1) -> tuple[System, dict[str, Optimizer]]:
    """The system and its optimisers, once all that can be checked without the data is right."""
    recipe.check()
    train, system, optimizers = recipe.train, recipe.build_system(), recipe.build_optimizers()
    check_learners(system.all_learners(), optimizers)
    check_products(system.products)
    check_split(system, share_of(train.batch_size, processes), train.accumulate)
    check_compiled(system, train.compile)
    check_scaled(system, train.precision)
    system.check_batch(train.batch_size)
    check_paths(recipe.data, "data")
    if recipe.evaluate:
        check_paths(recipe.evaluate.against or {}, "evaluate.against")
        check_evaluation(recipe.evaluate, system.product)
    wanted, promised = getattr(system.product, "sample_shape", None), promised_shape(recipe.data)
    if wanted and promised and tuple(wanted) != promised:
        raise RecipeError(
            f"data: samples are {list(promised)}, but the {type(system.product).__name__} is of {list(wanted)}; "
            "set the size and channels of one to those of the other"
        )
    if train.mirror and wanted and len(wanted) != 3:
        raise RecipeError("train.mirror: only images can be mirrored")
    return system, optimizers


def check_evaluation(wanted: Evaluate, product: Pretrained) -> None:
    """Raises RecipeError for a metric or extractor that does not exist, hours before it would be needed."""
    from genkit.evaluation.judges import judge_of

    judge_of(product).check(wanted)

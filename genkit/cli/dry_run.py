"""Describes a run before it starts: data, learners, order of play and cost. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from genkit.cli.console import heading, table
from genkit.core.display import clock
from genkit.training.engine import accelerator_of
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.remarks import remarks
from genkit.training.start import check_start, start_from

if TYPE_CHECKING:
    from genkit.core.system import Update
    from genkit.training.cost import Cost
    from genkit.training.staged import StagedRecipe
    from genkit.training.trainer import Trainer

TIMED = 3
"""Iterations that are timed, after one that warms up."""


def describe_run(recipe: Recipe | StagedRecipe, start: str | None = None) -> str:
    """Tables about a run of `recipe`, with its expected time; one for each stage, if it has some.

    Raises:
        RecipeError, DataError, WeightsError: as training itself would.
    """
    return _one(recipe, recipe, start).report if isinstance(recipe, Recipe) else "\n".join(_stages(recipe))


def _stages(recipe: StagedRecipe) -> Iterator[str]:
    """A later stage is timed with untrained products of those before it, and rehearsed with others, without values."""
    made, imagined = dict[str, Any](), dict[str, Any]()
    for name, stage in recipe.stages.items():
        if isinstance(stage, Recipe):
            all_there = imagined.keys() == made.keys()
            found = _one(
                stage.at(stage.place.after(made)), stage.at(stage.place.after(imagined)) if all_there else None
            )
            made[name] = dict(found.trainer.system.products)
            if found.rehearsed:
                imagined[name] = dict(found.rehearsed.system.products)
            yield found.report
        else:
            made[name], imagined[name] = recipe.unloaded(name), recipe.unloaded(name)
            yield "\n".join(_section(f"{recipe.name}-{name} (finished)", [[str(stage["weights"])]]))
    product = recipe.build_product(made)
    if product is not None:
        about = [["", recipe.description], ["type", type(product).__name__], ["of", ", ".join(recipe.stages)]]
        yield "\n".join(_section(f"{recipe.name}: the product", about))


class _Described(NamedTuple):
    """A training: its tables, its trainer, and that of a rehearsal without values, where it can be rehearsed."""

    report: str
    trainer: Trainer
    rehearsed: Trainer | None


def _one(recipe: Recipe, imagined: Recipe | None, start: str | None = None) -> _Described:
    """Of `recipe`; `imagined` is the same over products of its own, which a rehearsal leaves without values."""
    accelerator, notes = accelerator_of(recipe), list[str]()
    if start:
        check_start(start)
    data, trainer = prepare(recipe, accelerator)
    if start:
        notes = [start_from(start, trainer, notes.append)]
    order = _order(trainer)
    seconds = _timed(trainer)
    cost, rehearsed = _rehearsed(imagined, data) if imagined else (None, None)
    trainer.check()
    sections: dict[str, Sequence[Sequence[object]]] = {
        f"{recipe.name} (nothing is written)": [["", recipe.description]] if recipe.description else [],
        "data": list(_data(data)),
        "learners": list(_learners(trainer)),
        "one iteration": [[f"{i}.", turn] for i, turn in enumerate(order, 1)],
        "run": [
            *_run(recipe, trainer, seconds, len(data)),
            *(_cost(cost, seconds) if cost else ()),
            *(["start", line] for line in notes),
        ],
    }
    if lines := list(remarks(recipe, data)):
        sections["remarks"] = [[line] for line in lines]
    report = "\n".join(line for title, rows in sections.items() for line in _section(title, rows))
    return _Described(report, trainer, rehearsed)


def _rehearsed(recipe: Recipe, data: Any) -> tuple[Cost | None, Trainer | None]:
    """The cost of an iteration, by a rehearsal; none of a system that looks at values on its way."""
    from genkit.training.cost import cost_of
    from genkit.training.rehearsal import rehearsal, without_weights

    try:
        trainer = rehearsal(recipe, without_weights(recipe), data)
        return cost_of(trainer), trainer
    except (RuntimeError, NotImplementedError):
        return None, None


def _cost(cost: Cost, seconds: float) -> Iterator[list[object]]:
    yield ["arithmetic", f"{cost.flop / 1e9:,.3g} GFLOP an iteration, {cost.flop / seconds / 1e9:,.3g} GFLOP/s here"]
    yield [
        "memory",
        f"{cost.state / 2**20:,.3g} MiB of weights, averages, gradients and optimisers; "
        f"{cost.activations / 2**20:,.3g} MiB of activations in float32",
    ]


def _section(title: str, rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield heading(title)
    if rows:
        yield table(rows, indent="  ")


def _data(data: Any) -> Iterator[list[object]]:
    yield ["name", data.name]
    yield ["samples", f"{len(data):,} of {' x '.join(map(str, data.sample_shape))}"]
    for name, space in data.conditions.items():
        names = f": {', '.join(space.names)}" if space.names else ""
        yield [name, f"{space.about}{names}"]
    if data.report:
        yield ["files", data.report.summary()]
    yield from (["note", line] for line in data.remarks())


def _learners(trainer: Trainer) -> Iterator[list[object]]:
    for name, parameters in trainer.parameters.items():
        rule = trainer.rules[name]
        count = sum(p.numel() for p in parameters)
        settings = [type(rule).__name__, f"lr {rule.lr:g}", f"schedule {type(rule.schedule).__name__.lower()}"]
        if rule.clip_norm is not None:
            settings.append(f"gradient norm at most {rule.clip_norm:g}")
        yield [name, f"{count:,} parameters", ", ".join(settings)]


def _order(trainer: Trainer) -> list[str]:
    """The updates of one iteration, as they happened, repetitions counted."""
    seen: list[str] = []
    perform = trainer.perform

    def watched(update: Update) -> dict[str, torch.Tensor]:
        report = perform(update)
        terms = " + ".join(name for name in report if name != "gradient_norm")
        seen.append(f"{update.learner}: {terms}")
        return report

    trainer.perform = watched  # type: ignore[method-assign]
    try:
        trainer.iterate()
    finally:
        trainer.perform = perform  # type: ignore[method-assign]
    return [f"{turn} ({count} times)" if (count := len(list(same))) > 1 else turn for turn, same in groupby(seen)]


def seconds_per_iteration(recipe: Recipe) -> float:
    """Of a recipe on this machine, after an iteration that warms up; raises as training itself would."""
    _, trainer = prepare(recipe, accelerator_of(recipe))
    trainer.iterate()
    return _timed(trainer)


def _timed(trainer: Trainer) -> float:
    started = time.perf_counter()
    for _ in range(TIMED):
        trainer.iterate()
    if trainer.accelerator.device.type != "cpu":
        torch.accelerator.synchronize()
    return (time.perf_counter() - started) / TIMED


def _run(recipe: Recipe, trainer: Trainer, seconds: float, rows: int) -> Iterator[list[object]]:
    train, processes = recipe.train, trainer.accelerator.num_processes
    per_iteration = trainer.stream.position / trainer.step
    yield ["steps", f"{train.steps:,}"]
    yield ["batch", f"{train.batch_size} over {processes} process{'es' if processes > 1 else ''}"]
    yield ["passes over the data", f"{train.steps * per_iteration / rows:.1f}"]
    yield ["device", str(trainer.accelerator.device)]
    yield ["time", f"about {clock(seconds * train.steps)} ({seconds:.3g} s an iteration), scores not counted"]

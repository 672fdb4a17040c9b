"""Describes a run before it starts: data, learners, order of play and cost. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from genkit.cli.console import heading, table
from genkit.core.display import clock
from genkit.core.processes import whole_batch
from genkit.training.engine import accelerator_of
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.rehearsal import rehearsals
from genkit.training.remarks import remarks
from genkit.training.staged import StagedRecipe, in_turn
from genkit.training.start import check_start, start_from, start_of

if TYPE_CHECKING:
    from genkit.core.system import Update
    from genkit.training.cost import Cost
    from genkit.training.trainer import Trainer

TIMED, ENOUGH = 3, 0.2
"""Iterations that are timed at most, after one that warms up, and seconds after which there are enough of them."""


def describe_run(
    recipe: Recipe | StagedRecipe, start: str | None = None, done: Mapping[str, int] = MappingProxyType({})
) -> str:
    """Tables about a run of `recipe`, with its expected time; one for each stage, if it has some.

    Args:
        done: iterations that are behind a run which goes on, by stage ("" where there are none).

    Raises:
        RecipeError, DataError, WeightsError: as training itself would.
    """
    made, data, reports = dict[str, Any](), dict[str, Any](), dict[str, str]()
    rehearsed = rehearsals(recipe, lambda stage, *_: data[stage])
    for name, training in in_turn(recipe, made):
        behind = done.get(name, 0)
        data[name], trainer, notes = _prepared(training, start if behind else start_of(training, start))
        order, seconds = _order(trainer), _timed(trainer)
        cost = _cost_of_next(rehearsed)
        trainer.check()
        if behind:
            notes.append(_what_remains(training, behind, seconds))
        reports[name] = _report(training, trainer, data[name], notes, order, seconds, cost)
        made[name] = dict(trainer.system.products)
    return reports[""] if isinstance(recipe, Recipe) else "\n".join(_stages(recipe, reports, made))


def _stages(recipe: StagedRecipe, reports: Mapping[str, str], made: Mapping[str, Any]) -> Iterator[str]:
    for name, stage in recipe.stages.items():
        if isinstance(stage, Recipe):
            yield reports[name]
        else:
            yield "\n".join(_section(f"{recipe.name}-{name} (finished)", [[str(stage["weights"])]]))
    product = recipe.build_product(made)
    if product is not None:
        about = [["", recipe.description], ["type", type(product).__name__], ["of", ", ".join(recipe.stages)]]
        yield "\n".join(_section(f"{recipe.name}: the product", about))


def _prepared(recipe: Recipe, start: str | None) -> tuple[Any, Trainer, list[str]]:
    """The data, a trainer, and notes on where it starts from."""
    if start:
        check_start(start)
    data, trainer = prepare(recipe, accelerator_of(recipe))
    notes = list[str]()
    return data, trainer, [start_from(start, trainer, notes.append)] if start else notes


def _what_remains(recipe: Recipe, done: int, seconds: float) -> str:
    left = max(0, recipe.train.steps - done)
    return f"goes on after iteration {done:,}; {left:,} remain, about {clock(seconds * left)}"


def _cost_of_next(rehearsed: Iterator[tuple[str, Recipe, Trainer]]) -> Cost | None:
    """The cost of an iteration; None of a system that looks at values on its way, and of those that come after it."""
    from genkit.training.cost import cost_of

    try:
        return cost_of(next(rehearsed)[2])
    except (RuntimeError, NotImplementedError, StopIteration):
        return None


def _report(
    recipe: Recipe, trainer: Trainer, data: Any, notes: list[str], order: list[str], seconds: float, cost: Cost | None
) -> str:
    sections: dict[str, Sequence[Sequence[object]]] = {
        f"{recipe.name} (nothing is written)": [["", recipe.description]] if recipe.description else [],
        "data": list(_data(data)),
        "learners": list(_learners(trainer)),
        "one iteration": [[f"{i}.", turn] for i, turn in enumerate(order, 1)],
        "run": [
            *_run(recipe, trainer, seconds, len(data)),
            *(_cost(cost, seconds, trainer.system.local_state) if cost else ()),
            *(["start", line] for line in notes),
        ],
    }
    if lines := list(remarks(recipe, data)):
        sections["remarks"] = [[line] for line in lines]
    return "\n".join(line for title, rows in sections.items() for line in _section(title, rows))


def _cost(cost: Cost, seconds: float, local_state: Sequence[str]) -> Iterator[list[object]]:
    yield ["arithmetic", f"{cost.flop / 1e9:,.3g} GFLOP an iteration, {cost.flop / seconds / 1e9:,.3g} GFLOP/s here"]
    own = f"{cost.own_state / 2**20:,.3g} MiB that each process keeps for itself ({', '.join(local_state)}); "
    yield [
        "memory",
        f"{cost.state / 2**20:,.3g} MiB of weights, averages, gradients and optimisers; "
        f"{own if local_state else ''}{cost.activations / 2**20:,.3g} MiB of activations in float32",
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
    """Seconds of an iteration, those of the slowest process: all of a launch make as many and find the same."""
    started, count, passed = time.perf_counter(), 0, 0.0
    while count < TIMED and passed < ENOUGH:
        trainer.iterate()
        if trainer.accelerator.device.type != "cpu":
            torch.accelerator.synchronize()
        own = torch.tensor([time.perf_counter() - started], device=trainer.accelerator.device)
        count, passed = count + 1, whole_batch(own).max().item()
    return passed / count


def _run(recipe: Recipe, trainer: Trainer, seconds: float, rows: int) -> Iterator[list[object]]:
    train, processes = recipe.train, trainer.accelerator.num_processes
    per_iteration = trainer.stream.position / trainer.step
    yield ["steps", f"{train.steps:,}"]
    yield ["batch", f"{train.batch_size} over {processes} process{'es' if processes > 1 else ''}"]
    yield ["passes over the data", f"{train.steps * per_iteration / rows:.1f}"]
    yield ["device", str(trainer.accelerator.device)]
    yield ["time", f"about {clock(seconds * train.steps)} ({seconds:.3g} s an iteration), scores not counted"]

"""Arithmetic, memory and expected hours of every shipped recipe, found without a device.

    python -m benchmarks.arithmetic [RECIPE ...] [--write]

Prints a Markdown table. With `--write` the recipes that take `LONG` hours or more get the line about it in their file.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from genkit.core.columns.labels import Labels
from genkit.core.randomness import Noise
from genkit.core.system import System
from genkit.training.cost import Cost, cost_of
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import find_recipe, shipped_recipes
from genkit.training.rehearsal import rehearsals
from genkit.training.staged import load_recipe
from genkit.training.trainer import Trainer

LONG = 1.0
SHARE = 0.4
"""Of the peak that a training is taken to reach: of the GPU's own, and no more of it than large networks do reach."""
A100 = {"bf16": 312.0, "fp16": 312.0, "no": 19.5}
"""TFLOP/s of an NVIDIA A100 by `train.precision`, as its data sheet has them."""
BEGINS = "# Takes about "
ONCE = ("pairs", "pool")
"""Numbers of samples that a system draws once, before its first iteration; few here, since they are of none."""


ITEMS = 60_000
CLASSES = 10


class Like:
    """What a training of `product` asks of its data beside their rows: no file is read, and no row looked at."""

    name = "none"

    def __init__(self, product: Any, target: Like | None = None):
        self.target = target
        self.sample_shape = tuple(product.sample_shape)
        known = {**getattr(product, "attributes", {}), **(getattr(product, "conditions", None) or {})}
        self.columns = {"label": Labels(CLASSES), **{k: c for k, c in known.items() if c.drawable}}

    def __len__(self) -> int:
        return ITEMS

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        return {name: column.draw(Noise(len(index))) for name, column in self.columns.items()}


def rehearsed(name: str) -> Iterator[tuple[str, Recipe, Trainer]]:
    """The trainings of a shipped recipe as it stands; see `genkit.training.rehearsal.rehearsals`."""

    def data_of(stage: str, training: Recipe, system: System) -> Like:
        data = Like(system.product)
        return Like(system.product, target=data) if training.data["type"] == "domains" else data

    for stage, training, trainer in rehearsals(load_recipe(name), data_of):
        for part in trainer.system.modules():
            for drawn in ONCE:
                if isinstance(getattr(part, drawn, None), int):
                    setattr(part, drawn, 2)
        yield stage, training, trainer


def hours(cost: Cost, recipe: Recipe) -> float:
    """Of one A100."""
    return cost.flop * recipe.train.steps / (SHARE * A100[recipe.train.precision] * 1e12) / 3600


def line(trainings: list[tuple[Cost, Recipe]]) -> str:
    """The line about a recipe; empty for a short one."""
    took = sum(hours(cost, recipe) for cost, recipe in trainings)
    peaks = " and ".join(sorted({f"{A100[recipe.train.precision]:g}" for _, recipe in trainings}))
    total = sum(cost.flop * recipe.train.steps for cost, recipe in trainings) / 1e18
    return (
        ""
        if took < LONG
        else (
            f"{BEGINS}{two_digits(took)} hours of an A100: {two_digits(total)} EFLOP at {SHARE:.0%} of {peaks} TFLOP/s "
            "(python -m benchmarks.arithmetic)."
        )
    )


def line_of(name: str) -> str:
    """The line in the recipe's file; empty without."""
    lines = find_recipe(name).read_text(encoding="utf-8").splitlines()
    return next((found for found in lines if found.startswith(BEGINS)), "")


def two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 10 else f"{number:.2g}"


def write(name: str, about: str) -> None:
    """Puts the line at the top of the recipe's file, in place of an older one."""
    path = find_recipe(name)
    rest = [old for old in path.read_text(encoding="utf-8").splitlines() if not old.startswith(BEGINS)]
    path.write_text("\n".join([*([about] if about else []), *rest]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*")
    parser.add_argument("--write", action="store_true", help="write the lines into the recipes")
    given = parser.parse_args()
    print("| recipe | TFLOP an iteration | iterations | weights and optimisers, GiB | activations, GiB | A100 hours |")
    print("|---|---|---|---|---|---|")
    for name in given.recipes or shipped_recipes():
        found: list[tuple[Cost, Recipe]] = []
        for stage, recipe, trainer in rehearsed(name):
            cost = cost_of(trainer)
            found.append((cost, recipe))
            lasting = cost.state + cost.own_state
            print(
                f"| {name} {stage} | {cost.flop / 1e12:,.3f} | {recipe.train.steps:,} | {lasting / 2**30:.2f} | "
                f"{cost.activations / 2**30:,.2f} | {hours(cost, recipe):,.2g} |",
                flush=True,
            )
        if given.write:
            write(name, line(found))


if __name__ == "__main__":
    main()

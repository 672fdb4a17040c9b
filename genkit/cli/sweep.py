"""genkit edit --sweep: one attribute from value to value, or two, everything else as it was drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from genkit.cli.conditions import asked
from genkit.core.errors import ConditionError, GenkitError, kind_of, shown, suggest

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.columns.column import Column
    from genkit.gan.control.controlled import Controlled

MOST, USUAL = 64, 8
"""Values of a sweep, and of one that says none of numbers."""
ROWS, MOST_ROWS = 4, 1000
"""Rows of a picture where nothing is said, and at most."""


class SweepRow(NamedTuple):
    """Of a picture: its head, its seed, and what it is asked for."""

    head: str
    seed: int
    asked: Mapping[str, Any]


def write_sweep(
    weights: str, texts: Sequence[str], conditions: Sequence[str], n: int | None, seed: int, out: Path
) -> None:
    """A picture with a column a value: of n rows, of the samples that seeds `seed`, `seed` + 1, ... give; or with a row
    for each value of a second attribute, all of one sample.

    Args:
        texts: one or two of NAME=FROM:TO:COUNT, NAME=VALUE,VALUE,... or NAME.
        conditions: what the rows are asked for, as --condition of genkit sample.

    Raises:
        GenkitError: weights without controls, or a sweep that is none.
    """
    import torch

    from genkit.cli.places import loaded
    from genkit.core.files import write_atomically
    from genkit.core.generator import Generator
    from genkit.gan.control.controlled import Controlled
    from genkit.images.grid import labelled_png

    if out.suffix.lower() != ".png":
        raise GenkitError(f"--out: --sweep draws one picture; give a name that ends with .png, got {shown(out.name)}")
    if len(texts) > 2:
        raise GenkitError(f"--sweep: columns go through one attribute and rows through another; got {len(texts)}")
    if len(texts) == 2 and n is not None:
        raise GenkitError("-n: rows of two sweeps are values of the second one; leave it out")
    generator = loaded(Generator, weights)
    if not isinstance(generator, Controlled):
        raise GenkitError(f"--sweep needs a generator with controls; this is {kind_of(generator)}")
    (name, values, heads), *second = ways = [swept(generator, text) for text in texts]
    seeds = range(1) if second else seeds_of_picture(n or ROWS, seed)
    fixed: dict[str, Any] = asked(generator, None, conditions, len(seeds)).rows
    if second and second[0][0] == name:
        raise GenkitError(f"both sweeps go through {name}; leave one of them out")
    if taken := [way[0] for way in ways if way[0] in fixed]:
        raise GenkitError(f"--condition {taken[0]}: the sweep goes through {taken[0]}; leave one of them out")
    rows = _rows_of_values(fixed, seed, *second[0]) if second else _rows_of_seeds(fixed, seeds)
    strips = [generator.sweep(name, values, 1, torch.Generator().manual_seed(r.seed), **r.asked)[0] for r in rows]
    picture = labelled_png(torch.cat(strips), [f"{name} {heads[0]}", *heads[1:]], [row.head for row in rows])
    write_atomically(out, picture)
    click.echo(f"{len(rows)} x {len(values)} images in {out} ({', '.join(texts)}, seed {seed})")


def _rows_of_seeds(fixed: Mapping[str, Any], seeds: range) -> list[SweepRow]:
    one = [{name: rows[k : k + 1] for name, rows in fixed.items()} for k in range(len(seeds))]
    return [SweepRow(f"seed {seed}", seed, of_row) for seed, of_row in zip(seeds, one, strict=True)]


def _rows_of_values(
    fixed: Mapping[str, Any], seed: int, name: str, values: Tensor, heads: Sequence[str]
) -> list[SweepRow]:
    return [SweepRow(f"{name} {head}", seed, {**fixed, name: values[k : k + 1]}) for k, head in enumerate(heads)]


def seeds_of_picture(n: int, seed: int) -> range:
    """Of a picture of n rows.

    Raises:
        GenkitError: more rows than one looks at.
    """
    if n > MOST_ROWS:
        raise GenkitError(f"-n {n:,}: a picture has at most {MOST_ROWS:,} rows; --seed begins elsewhere")
    return range(seed, seed + n)


def swept(generator: Controlled, text: str) -> tuple[str, Tensor, list[str]]:
    """The attribute, the values of it, rows of its column, and their texts; of a circle both ends keep their own.

    Raises:
        GenkitError: beginning with the option.
    """
    from genkit.gan.control.controlled import spread

    name, equals, given = text.partition("=")
    column, option = generator.conditions.get(name), f"--sweep {shown(text)}"
    if column is None:
        raise GenkitError(f"{option}: no control is called {shown(name)}{suggest(name, generator.conditions)}")
    if not equals:
        rows = spread(column, min(MOST, getattr(column, "classes", USUAL)))
        return name, rows, [called(column, value) for value in rows]
    try:
        stepped = ":" in given and given not in column.names
        values: Sequence[float | str] = _stepped(column, given) if stepped else column.listed(given)
        rows = column.check(name, values, len(values))
    except (ConditionError, ValueError) as misfit:
        raise GenkitError(f"{option}: {misfit}") from misfit
    return name, rows, [v if isinstance(v, str) else f"{v:.3g}" for v in values]


def _stepped(column: Column, text: str) -> Sequence[float | str]:
    """FROM:TO:COUNT as values of the column, of classes their numbers as texts.

    Raises:
        ValueError: it is not of this form, or between the numbers of classes.
    """
    values = steps(text)
    if not hasattr(column, "classes"):
        return values
    if any(value != int(value) for value in values):
        raise ValueError("classes have whole numbers, as in 0:3:4; or name them, VALUE,VALUE")
    return [str(int(value)) for value in values]


def steps(text: str) -> list[float]:
    """FROM:TO:COUNT as numbers.

    Raises:
        ValueError: it is not of this form.
    """
    parts = text.split(":")
    try:
        low, high, count = float(parts[0]), float(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        parts = []
    if len(parts) != 3 or not 2 <= count <= MOST or not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"values are FROM:TO:COUNT, at most {MOST} of them, such as 0:1:8, or VALUE,VALUE")
    return [low + (high - low) * k / (count - 1) for k in range(count)]


def called(column: Column, value: Tensor) -> str:
    return column.names[int(value)] if column.names else f"{value.item():.3g}"

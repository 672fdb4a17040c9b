"""genkit edit --sweep: one attribute from value to value, or two, everything else as it was drawn."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from genkit.cli.conditions import OTHER_NAMES, asked
from genkit.core.columns.column import FREE
from genkit.core.errors import BeyondTraining, ConditionError, GenkitError, kind_of, shown, suggest

if TYPE_CHECKING:
    from torch import Tensor

    from genkit.core.columns.column import Column
    from genkit.gan.control.controlled import Controlled

MOST, USUAL = 64, 8
"""Values of a sweep, and of one that says none of numbers."""
ROWS, MOST_ROWS = 4, 1000
"""Rows of a picture where nothing is said, and at most."""
LAST_SEED, LONG, SHORT = 2**63 - 1, 100, 12
"""Largest seed; letters of a sweep in the line about the result, and of a value over its column, at most."""


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
        raise GenkitError(
            f"--sweep needs a generator with controls, such as shapes-gan-control; this is {kind_of(generator)}, see "
            f"'genkit info {weights}' for what genkit sample takes; --direction draws strips along a direction"
        )
    (name, values, heads), *second = ways = [swept(generator, text) for text in texts]
    seeds = range(1) if second else seeds_of_picture(n or ROWS, seed)
    fixed = _fixed(generator, conditions, len(seeds), bool(second))
    if second and second[0][0] == name:
        raise GenkitError(f"both sweeps go through {name}; leave one of them out")
    if taken := [way[0] for way in ways if way[0] in fixed]:
        raise GenkitError(f"--condition {taken[0]}: the sweep goes through {taken[0]}; leave one of them out")
    rows = _rows_of_values(fixed, seed, *second[0]) if second else _rows_of_seeds(fixed, seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BeyondTraining)  # told once, of all values
        strips = [generator.sweep(name, values, 1, torch.Generator().manual_seed(r.seed), **r.asked)[0] for r in rows]
    if not all(bool(strip.isfinite().all()) for strip in strips):
        raise GenkitError(
            f"--sweep {', '.join(map(_shortened, texts))}: no image comes of values so far beyond what was learned"
        )
    write_atomically(out, labelled_png(torch.cat(strips), heads, [row.head for row in rows], name))
    click.echo(f"{len(rows)} x {len(values)} images in {out} ({', '.join(map(_shortened, texts))}, seed {seed})")


def _shortened(text: str) -> str:
    """A sweep in the line about the result: a long list without its middle."""
    text = " ".join(text.split())
    return text if len(text) <= LONG else f"{text[:LONG]}..."


def _fixed(generator: Controlled, conditions: Sequence[str], n: int, two: bool) -> dict[str, Any]:
    """Rows of what n rows of a picture are asked for; of two sweeps one row.

    Raises:
        GenkitError: see `asked`; and several values of one name where there are two sweeps.
    """
    found = asked(generator, None, conditions, MOST if two else n)
    if two and found.turn > 1:
        raise GenkitError(f"--condition {' '.join(conditions)}: two sweeps are of one sample; give one value of each")
    return {name: rows[:n] for name, rows in found.rows.items()}


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
    if seed > LAST_SEED - (n - 1):
        raise GenkitError(f"--seed {seed}: {n} rows have a seed each, and the last one is {LAST_SEED}")
    return range(seed, seed + n)


def swept(generator: Controlled, text: str) -> tuple[str, Tensor, list[str]]:
    """The attribute, the values of it, rows of its column, and their texts; of a circle both ends keep their own.

    Raises:
        GenkitError: beginning with the option.
    """
    from genkit.gan.control.controlled import spread

    name, equals, given = text.partition("=")
    name = name if name in generator.conditions else OTHER_NAMES.get(name, name)
    column, option = generator.conditions.get(name), f"--sweep {shown(text)}"
    if column is None:
        raise GenkitError(f"{option}: no control is called {shown(name)}{suggest(name, generator.conditions)}")
    if not equals:
        rows = spread(column, min(MOST, getattr(column, "classes", USUAL)))
        return name, rows, [called(column, row) for row in rows]
    try:
        stepped = ":" in given and given not in column.names
        values: Sequence[float | str] = _stepped(column, given) if stepped else column.listed(given)
        if len(values) > MOST:
            raise ValueError(f"a picture has at most {MOST} values, got {len(values):,}")
        rows = column.check(name, values, len(values))
    except (ConditionError, ValueError) as misfit:
        raise GenkitError(f"{option}: {misfit}") from misfit
    return name, rows, [called(column, row) for row in rows] if column.names else heads_of(values)


def heads_of(values: Sequence[float | str]) -> list[str]:
    """Texts of numbers, in as few digits as tell them apart, three at least; a short text as it is."""
    for digits in range(3, 17):
        heads = [v if isinstance(v, str) and len(v) <= SHORT else f"{float(v):.{digits}g}" for v in values]
        if len(set(heads)) == len(set(values)):
            break
    return heads


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
    try:
        first, last, number = text.split(":")
        ends, count = (float(first), float(last)), int(number)
    except ValueError:
        raise ValueError("values are FROM:TO:COUNT, such as 0:1:8, or VALUE,VALUE") from None
    if not 2 <= count <= MOST:
        raise ValueError(f"COUNT is a number from 2 to {MOST}, got {count}")
    if not all(map(math.isfinite, ends)):
        raise ValueError(f"FROM and TO are finite numbers, got {first} and {last}")
    low, high = Fraction(first), Fraction(last)  # of the texts: no rounding between them
    return [float(low + (high - low) * k / (count - 1)) for k in range(count)]


def called(column: Column, row: Tensor) -> str:
    if not column.asked(row):
        return FREE
    return column.names[int(row)] if column.names else f"{row.item():.3g}"

"""genkit edit --direction: samples moved along a direction, as a picture or as new weights."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.sweep import seeds_of_picture
from genkit.core.errors import GenkitError, WeightsError, shown

if TYPE_CHECKING:
    from genkit.posthoc.directions.directions import Directions

COLUMNS, LEAST, MOST = 9, 1e-6, 1000.0
"""Strengths of a picture; the smallest and the largest one."""


def write_edit(weights: str, texts: Sequence[str], folder: str | None, n: int, seed: int, out: Path) -> None:
    """A picture of n rows, of the samples that seeds `seed`, `seed` + 1, ... give, and a column a strength from one
    end of the last direction to the other; or new weights, whose samples are those of `weights` moved.

    Args:
        texts: NAME=STRENGTH or NUMBER=STRENGTH, one for each direction.
        folder: of the directions; None for a run that has learned some.

    Raises:
        GenkitError: no directions, no such one, or a strength that is none.
    """
    import torch

    from genkit.core.files import new_folder, write_atomically
    from genkit.images.grid import labelled_png

    if out.suffix.lower() != ".png":
        new_folder(out)
    asked, seeds = [parsed(text) for text in texts], seeds_of_picture(n, seed)
    found = directions_of(weights, folder)
    numbers = [_number(found, name, text) for (name, _), text in zip(asked, texts, strict=True)]
    if len(set(numbers)) < len(numbers):
        raise GenkitError(f"--direction: {', '.join(texts)} name one direction twice; give each once")
    steps = [(number, strength) for number, (_, strength) in zip(numbers, asked, strict=True)]
    moves = [f"{found.called(k)}, strength {at:g}" for k, at in steps]
    for step in steps[:-1]:
        found = found.moved(*step)
    number, strength = steps[-1]
    if out.suffix.lower() != ".png":
        found.edited(number, strength).save_pretrained(out)
        click.echo(f"weights in {out} ({'; '.join(moves)})")
        return
    strengths = torch.linspace(-strength, strength, COLUMNS).tolist()
    heads = [f"{at:+.3g}" if at else "0" for at in strengths]
    strip = found.strip(number, strengths, seeds)
    write_atomically(out, labelled_png(strip.flatten(0, 1), heads, [f"seed {s}" for s in seeds]))
    swept = "; ".join([*moves[:-1], f"{found.called(number)}, {heads[0]} to {heads[-1]}"])
    click.echo(f"{n} x {COLUMNS} images in {out} ({swept}, seed {seed})")


def write_named(weights: str, folder: str, out: Path) -> None:
    """New weights, whose conditions are the directions that have a name.

    Raises:
        GenkitError: no directions, or none with a name.
    """
    from genkit.core.files import new_folder

    new_folder(out)
    found = directions_of(weights, folder)
    named = [name for name in found.names if name]
    if not named:
        raise GenkitError(f"{folder}: no direction has a name; write some into its directions.yaml")
    found.save_pretrained(out)
    moved = ["genkit", "sample", str(out), "--condition", f"{named[0]}={found.reach / 2:g}", "--out", "samples"]
    click.echo(f"weights in {out}; its samples are moved by")
    click.echo(f"  {shlex.join(moved)}")
    click.echo(f"named: {', '.join(named)}")


def parsed(text: str) -> tuple[str, float]:
    """NAME=STRENGTH.

    Raises:
        GenkitError: it is not of this form.
    """
    name, _, value = text.rpartition("=")
    try:
        strength = float(value)
    except ValueError:
        strength = float("nan")
    if not name or not isfinite(strength) or not LEAST <= abs(strength) <= MOST:
        raise GenkitError(
            f"--direction {shown(text)}: give NUMBER=STRENGTH or NAME=STRENGTH, such as 3=2.5; a strength is a finite "
            f"number from {LEAST:g} to {MOST:g}, or as far below 0"
        )
    return name, strength


def directions_of(weights: str, folder: str | None) -> Directions:
    """The directions in a folder, of the generator in `weights`; or those of a run that has learned them."""
    from genkit.cli.places import loaded
    from genkit.core.fingerprint import weights_fingerprint
    from genkit.core.generator import LatentGenerator
    from genkit.core.pretrained import Pretrained
    from genkit.posthoc.directions.directions import Directions
    from genkit.posthoc.directions.directions_folder import TENSORS, comes_from, found_in, read_directions
    from genkit.posthoc.directions.spaces import space_of

    found: Any = loaded(Pretrained, weights)
    if isinstance(found, Directions) and folder is None:
        return found
    if folder is None:
        raise GenkitError(
            f"--direction: say which directions with --directions FOLDER; 'genkit directions {weights} --out FOLDER' "
            "finds some"
        )
    generator = found.generator if isinstance(found, Directions) else found
    if not isinstance(generator, LatentGenerator):
        space_of(generator)
    kept = None if (Path(folder) / TENSORS).is_file() else _in_weights(folder)
    given = kept.of(generator) if kept else read_directions(Path(folder), generator)
    origin = weights_fingerprint(kept.generator) if kept else found_in(Path(folder))
    if isinstance(found, Directions) and origin == weights_fingerprint(found):
        return given.of(found)
    if not comes_from(generator, origin):
        click.echo(f"warning: the directions in {folder} were found in other weights than {weights}", err=True)
    return given


def _in_weights(folder: str) -> Directions | None:
    """The directions that are weights themselves."""
    from genkit.core.pretrained import Pretrained
    from genkit.posthoc.directions.directions import Directions

    with suppress(WeightsError):
        found: Any = Pretrained.from_pretrained(folder)
        return found if isinstance(found, Directions) else None
    return None


def _number(found: Directions, name: str, text: str) -> int:
    try:
        return found.number(name)
    except GenkitError as unknown:
        raise GenkitError(f"--direction {shown(text)}: {unknown}") from unknown

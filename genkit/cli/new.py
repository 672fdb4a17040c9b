"""genkit new: from somebody's own images to a recipe that fits them, the machine and the time."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.places import ABOUT_DATA, COUNT, DATA, SEED, WEIGHTS, Place, Writing
from genkit.core.errors import GenkitError, some
from genkit.training.starters.plans import PLANS

if TYPE_CHECKING:
    from genkit.training.starters.survey import Survey

SYSTEMS = tuple(PLANS)
MINUTES, SHOWN, LEAST = 30, 5, 8
"""Of a training; files and classes that are named; pixels of the smallest images that are made."""
HANDFUL = 50
"""Images below which nothing but these can be learned."""


@click.command("new", cls=Writing, epilog=ABOUT_DATA)
@click.argument("data", type=DATA)
@click.option("--out", type=Place(suffixes=(".yaml", ".yml")), help="The recipe; NAME.yaml of the data by default.")
@click.option("--system", type=click.Choice(SYSTEMS), default=SYSTEMS[0], show_default=True, help="The generator.")
@click.option("--size", type=click.IntRange(LEAST, 256), help="Side length in pixels; by images and time if not said.")
@click.option("--from", "start", type=WEIGHTS, help="Go on from these weights, or from a run: their kind and size.")
@click.option("--minutes", type=COUNT, default=MINUTES, show_default=True, help="For the training, on this machine.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the training.")
@click.pass_context
def command(
    ctx: click.Context,
    data: str,
    out: Path | None,
    system: str,
    size: int | None,
    start: str | None,
    minutes: int,
    seed: int,
) -> None:
    """Look at DATA and at this machine, and write a recipe of your own for 'genkit train'.

    It says what is there, draws a contact sheet beside the recipe, times a few iterations, and chooses size, width,
    batch and steps so that the training fits the minutes.
    """
    from genkit.cli.dry_run import seconds_per_iteration
    from genkit.core.files import write_atomically
    from genkit.evaluation.real_data import read_name
    from genkit.images.grid import grid
    from genkit.images.pixels import png_bytes
    from genkit.training.starters.fine_tuning import fine_tuned, started_from
    from genkit.training.starters.starter import Wish, starter
    from genkit.training.starters.survey import survey

    if start and ctx.get_parameter_source("system") is ParameterSource.COMMANDLINE:
        raise GenkitError("--system is that of the weights --from which the training goes on; leave it out")
    if start:
        started_from(start, size)
    named = read_name(data, "DATA")
    name = named.stem if isinstance(named, Path) else str(named["type"])
    file = out or Path(f"{name}.yaml")
    sheet = file.with_suffix(".png")
    for path in (file, sheet):
        if path.exists():
            raise GenkitError(f"{path} exists; choose another place with --out, or remove it")
    with display() as shown:
        found = survey(named, progress(shown, "looking at", "image"))
    click.echo(heading(f"{found.name}"))
    click.echo(table(list(_rows(found)), indent="  "))
    asked, timing = Wish(system, file, minutes, size, seed), seconds_per_iteration
    click.echo("timing a few iterations of a training, to choose its size ...")
    made = fine_tuned(found, asked, start, timing) if start else starter(found, asked, timing)
    write_atomically(sheet, png_bytes(grid(found.sheet)))
    write_atomically(file, made.text.encode())
    kind = "image" if found.count == 1 else "images"
    warn(made.lost)
    if found.count < HANDFUL:
        warn([f"of {found.count} {kind} little can be learned but to repeat them; some hundreds are a start"])
    if made.enough:
        enough = f"--minutes {made.enough.minutes} --size {made.enough.size}"
        smaller = "" if made.enough.size == (PLANS[system].sides or [LEAST])[0] else "a smaller size or "
        warn([f"{made.steps:,} iterations are few for this; {enough} would do, or {smaller}another --system"])
    seen = f"{len(found.sheet):,} of the {found.count:,}" if len(found.sheet) < found.count else f"the {found.count:,}"
    click.echo(f"recipe in {file}, a contact sheet of {seen} {kind} in {sheet}; train it with")
    click.echo(f"  {shlex.join(['genkit', 'train', str(file), *(['--from', start] if start else [])])}")
    if made.start:
        other = file.with_stem(f"{file.stem}-from-others")
        line = ["genkit", "new", data, "--from", made.start, "--minutes", str(minutes), "--out", str(other)]
        click.echo("photographs do better from weights that know others; for that type instead")
        click.echo(f"  {shlex.join([*line, *(['--seed', str(seed)] if seed else [])])}")


def _rows(found: Survey) -> Iterator[list[object]]:
    from genkit.core.computing import this_device

    left = f" of {found.count + len(found.rejected):,}" if found.rejected else ""
    yield ["images", f"{found.count:,}{left}"]
    if found.rejected:
        names = "; ".join(f"{name}: {reason}" for name, reason in found.rejected[:SHOWN])
        yield ["left out", f"{len(found.rejected)} ({names}{', ...' if len(found.rejected) > SHOWN else ''})"]
    if found.unread:
        yield [*found.unread.split(": ", 1)]
    if found.converted:
        yield ["converted", ", ".join(f"{n} {kind}" for kind, n in sorted(found.converted.items()))]
    least, most = int(found.sides[0]), int(found.sides[-1])
    yield ["shorter side", f"{least} pixels" if least == most else f"{least} to {most} pixels"]
    yield ["colours", "yes" if found.colour else "none"]
    if found.classes:
        counts = [f"{name} {n:,}" for name, n in found.classes.items()]
        yield ["classes", f"{len(found.classes)}: {some(counts, SHOWN)}"]
    if found.stray:
        yield ["classes", f"none: {found.stray}"]
    if found.duplicates:
        yield ["duplicates", f"{found.duplicates:,}"]
    device = this_device()
    yield ["machine", f"{os.cpu_count()} CPU cores" if device.type == "cpu" else str(device)]

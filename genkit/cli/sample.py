"""genkit sample: weights become image files, or points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genkit.cli.computing_options import computes
from genkit.cli.conditions import WIDEST, asked
from genkit.cli.given_images import IMAGE, write_edited
from genkit.cli.launch import join_launch
from genkit.cli.places import ABOUT_WEIGHTS, COUNT, SEED, WEIGHTS, Output, Writing, check_apart, loaded
from genkit.cli.sample_files import GRID, SAMPLES, refuse_what_cannot_fit
from genkit.cli.sampler_options import configured, sampler_options
from genkit.cli.series import SampleSeries, write_series
from genkit.cli.way import write_way
from genkit.core.errors import GenkitError


@click.command("sample", cls=Writing, epilog=ABOUT_WEIGHTS)
@click.argument("weights", type=WEIGHTS)
@click.option("-n", "n", type=COUNT, default=64, show_default=True, help="Number of samples.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Same seed, same samples.")
@click.option(
    "--label", help="Class: its name, else its number; several as 0,1,2 are taken in turn. Random when not given."
)
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of all samples: label=3, hue=0.6, or low_res=IMAGE, a file; of 0.1,0.6, or of a folder, in turn.",
)
@click.option(
    "--to-seed", type=SEED, help="n images on the way from one seed's first sample to another's; conditions stay."
)
@click.option("--out", type=SAMPLES, required=True, help="Folder for 000000.png and so on.")
@click.option(
    "--grid",
    is_flag=True,
    help=f"Also write grid.png: the first {GRID} samples, up to {WIDEST} values taken in turn a column each.",
)
@click.option(
    "--batch-size", type=COUNT, default=64, show_default=True, help="Changes speed, and images by rounding at most."
)
@click.option("--like", type=IMAGE, hidden=True)
@click.option("--between", type=IMAGE, nargs=2, hidden=True)
@sampler_options
@computes
def command(
    weights: str,
    n: int,
    seed: int,
    label: str | None,
    conditions: tuple[str, ...],
    to_seed: int | None,
    out: Path,
    grid: bool,
    batch_size: int,
    like: Path | None,
    between: tuple[Path, Path] | None,
    **sampler: Any,
) -> None:
    """Draw samples from WEIGHTS.

    Images become 000000.png and so on, points become points.npy, points.csv and points.png;
    of a run, its data are drawn beside them. What was stopped goes on with the same command, and the processes of
    `accelerate launch -m genkit sample ...` share the work: the files are the same.
    """
    from genkit.core.generator import Generator

    generator = configured(loaded(Generator, weights), sampler)
    refuse_what_cannot_fit(n, generator.sample_shape, out)
    wanted = asked(generator, label, conditions, n)
    check_apart([Output("--out", out, SAMPLES)], wanted.files)
    if like and between:
        raise GenkitError("--like makes variations of one image, --between joins two: give one of them")
    if to_seed is not None and (like or between):
        raise GenkitError("--to-seed is a way between samples, not from an image; give one of them")
    about = ", ".join([f"seed {seed}", *wanted.words])
    if like or between:
        given, option = between or (like,), "--like" if like else "--between"
        write_edited(generator, given, n, seed, out, grid, batch_size, weights, about, option)  # type: ignore[arg-type]
        return
    if to_seed is not None:
        write_way(generator, (seed, to_seed), n, wanted, out, grid, weights, f"from {about} to seed {to_seed}")
        return
    join_launch()
    series = SampleSeries(generator, n, seed, wanted.rows, batch_size)
    write_series(series, out, grid, weights, about, wanted.columns)

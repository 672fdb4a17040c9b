"""genkit score-images: an outlier score of each image, from weights with a likelihood."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.computing_options import computes
from genkit.cli.console import display, progress, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import (
    ABOUT_DATA,
    ABOUT_WEIGHTS,
    COUNT,
    DATA,
    SEED,
    WEIGHTS,
    Place,
    Writing,
    loaded,
    skip_bad_option,
)


@click.command("score-images", cls=Writing, epilog=f"{ABOUT_WEIGHTS} {ABOUT_DATA}")
@click.argument("weights", type=WEIGHTS)
@click.argument("images", type=DATA)
@click.option("--out", type=Place(suffixes=(".csv",)), required=True, help="The .csv file to write.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the noise that a bound needs.")
@click.option("--batch-size", type=COUNT, default=32, show_default=True, help="Changes speed alone.")
@skip_bad_option
@computes
def command(weights: str, images: str, out: Path, seed: int, batch_size: int, skip_bad: bool) -> None:
    """Write how WEIGHTS score each of IMAGES, which are DATA: a row an image, the last column its outlier score.

    A higher one is more unusual. For a VAEBM it is the energy minus the bound of its VAE, for others with a likelihood
    minus the log-likelihood.
    """
    from genkit.core.generator import Generator
    from genkit.evaluation.csv_file import write_csv
    from genkit.evaluation.image_scores import image_scores

    join_launch()
    generator, crew = loaded(Generator, weights), crew_of_launch()
    with display() as shown:
        tell = progress(shown, "scoring", "image")
        data, scores = image_scores(generator, images, seed, batch_size, tell, skip_bad, crew)
    if crew.rank:
        return
    files = {"file": data.files} if data.files else {}
    table = {"row": range(len(data)), **files, **{name: values.tolist() for name, values in scores.items()}}
    write_csv(out, list(table), zip(*table.values(), strict=True))
    if data.report:
        click.echo(f"{data.name}: {data.report.summary()}")
        warn(f"{data.name}: {line}" for line in data.report.warnings())
    worst = scores["outlier_score"].argsort(descending=True)[:5].tolist()
    names = ", ".join(data.files[row] if data.files else f"row {row}" for row in worst)
    click.echo(f"{len(data)} images in {out}; most unusual: {names}")

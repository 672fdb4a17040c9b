"""genkit stats: reference statistics in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.console import display, progress, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import ABOUT_DATA, COUNT, DATA, SEED, WEIGHTS, Place, Writing, option, skip_bad_option


@click.command("stats", cls=Writing, epilog=ABOUT_DATA)
@click.argument("data", type=DATA)
@option("--out", type=Place(suffixes=(".npz",)), required=True, help="The .npz file to write.")
@option("-n", "n", type=click.IntRange(min=2), help="Samples; all that there are, if not said.")
@option("--extractor", type=WEIGHTS, help="Of 'genkit list extractors', or a classifier; by the data, if not said.")
@option("--extractor-weights", "weights", type=click.Path(path_type=Path), help="A file with the extractor's weights.")
@option("--seed", type=SEED, default=0, show_default=True, help="Of the rows drawn.")
@option("--batch-size", type=COUNT, default=64, show_default=True, help="Changes speed alone.")
@skip_bad_option
@on_device
def command(data: str, out: Path, skip_bad: bool, **settings: Any) -> None:
    """Mean and covariance of the features of DATA, for 'genkit evaluate A --against OUT'.

    The file remembers its extractor and is refused with any other.
    """
    from genkit.evaluation import statistics

    join_launch()
    crew = crew_of_launch()
    with display() as shown:
        tell = progress(shown, "features", "sample")
        found, warnings = statistics(data, progress=tell, skip_bad=skip_bad, crew=crew, **settings)
    if crew.rank:
        return
    found.save(out)
    name, digest = found.extractor["name"], found.extractor["sha256"][:8]
    click.echo(f"{out}: {found.n} samples of {found.name}, {len(found.mu)} dimensions, {name} (sha256 {digest})")
    warn(warnings)

"""genkit stats: reference statistics in a file."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.console import display, progress, warn
from genkit.cli.places import ABOUT_DATA, DATA, WEIGHTS, Place, Writing


@click.command("stats", cls=Writing, epilog=ABOUT_DATA)
@click.argument("data", type=DATA)
@click.option("--out", type=Place(suffixes=(".npz",)), required=True, help="The .npz file to write.")
@click.option("-n", "n", type=click.IntRange(min=2), help="Samples; default: all that there are.")
@click.option(
    "--extractor",
    type=WEIGHTS,
    help="Name from 'genkit list extractors' or a classifier's weights; default: by the data.",
)
@click.option("--extractor-weights", type=click.Path(path_type=Path), help="A file with the extractor's weights.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of the rows drawn.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Changes speed alone.")
@click.option("--skip-bad", is_flag=True, help="Leave damaged files out, and say so, instead of stopping.")
def command(
    data: str,
    out: Path,
    n: int | None,
    extractor: str | None,
    extractor_weights: Path | None,
    seed: int,
    batch_size: int,
    skip_bad: bool,
) -> None:
    """Mean and covariance of the features of DATA, for 'genkit evaluate A --against OUT'.

    The file remembers its extractor and is refused with any other.
    """
    from genkit.evaluation import statistics

    with display() as shown:
        tell = progress(shown, "features", "sample")
        on_bad = "skip" if skip_bad else "error"
        found, warnings = statistics(
            data,
            n,
            extractor,
            seed,
            batch_size,
            tell,
            weights=extractor_weights,
            on_bad=on_bad,  # type: ignore[arg-type]
        )
    found.save(out)
    extractor_name, digest = found.extractor["name"], found.extractor["sha256"][:8]
    click.echo(
        f"{out}: {found.n} samples of {found.name}, {len(found.mu)} dimensions, {extractor_name} (sha256 {digest})"
    )
    warn(warnings)

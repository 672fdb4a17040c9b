"""genkit bench: a table of several generators from one file."""

from __future__ import annotations

from pathlib import Path

import click

from genkit.cli.console import TrainingWatcher, display, progress, table
from genkit.cli.places import FOLDER


@click.command("bench")
@click.argument("bench", type=click.Path(path_type=Path))
@click.option("--out", type=FOLDER, help="Folder for the results; bench/<name of the file>.")
def command(bench: Path, out: Path | None) -> None:
    """Score all generators that the YAML file BENCH names, with every seed, into bench.json, bench.md and bench.html.

    \b
    against: mnist/test
    n: 5000
    metrics: [fd, kd, pr, authenticity]
    seeds: [0, 1, 2]
    entries:
      - {name: WGAN, source: runs/wgan}
      - {name: clipped, recipe: digits/wgan_ratio_clipping, overrides: [train.steps=2000]}
      - {name: real, source: mnist/train}

    Started again it goes on where it was stopped; a score is computed anew only when something it depends on changed.
    """
    from genkit.evaluation import bench_report
    from genkit.evaluation.bench import run_bench
    from genkit.evaluation.bench_spec import Bench

    spec = Bench.load(bench)
    folder = out or Path("bench") / bench.stem
    with display() as shown:

        def train(recipe: str, overrides: list[str], seed: int, run: Path) -> Path:
            return _train(recipe, overrides, seed, run, TrainingWatcher(shown))

        result = run_bench(spec, folder, train, progress(shown, "scoring", "sample"), shown.note)
    header, rows = bench_report.table(result)
    click.echo(bench_report.about(result))
    click.echo(table([[cell for cell, _ in row] for row in rows], header))
    click.echo("\n".join([bench_report.LEGEND, *(f"warning: {line}" for line in result["warnings"])]))
    click.echo(f"look at {folder / 'bench.html'}")


def _train(recipe: str, overrides: list[str], seed: int, out: Path, watcher: TrainingWatcher) -> Path:
    """The finished run of a recipe with this seed; goes on with one that was stopped."""
    from genkit.recipe import Recipe
    from genkit.training.folder import RunFolder
    from genkit.training.run import train

    checked = Recipe.load(recipe, [*overrides, f"train.seed={seed}"])
    folder = RunFolder(out)
    if not folder.finished(checked):
        watcher.note(f"training {checked.name} with seed {seed} into {out}")
        train(checked, out, resume=True, watcher=watcher)
    return folder.weights

"""genkit bench: a table of several generators from one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.computing_options import computes
from genkit.cli.console import display, progress, table
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import Output, Place, Writing, check_apart
from genkit.cli.train import read_by
from genkit.core.errors import TrainingError
from genkit.core.interruption import RunEnded
from genkit.training.watcher import TrainingWatcher

if TYPE_CHECKING:
    from genkit.evaluation.bench.spec import BenchEntry

TABLES = Place(folder=True, replaces=("bench.json", "bench.md", "bench.html"))


@click.command("bench", cls=Writing)
@click.argument("bench", type=click.Path(path_type=Path))
@click.option("--out", type=TABLES, help="Folder for the results; bench/<name of the file>.")
@computes
def command(bench: Path, out: Path | None) -> None:
    """Score all generators that the YAML file BENCH names, with every seed, into bench.json, bench.md and bench.html.

    The name of a shipped file will do: fashion_mnist, the table of docs/benchmarks.md.

    \b
    against: mnist/test
    n: 5000
    metrics: [fd, kd, pr, authenticity]
    seeds: [0, 1, 2]
    also: {efficientnet-lite0: [fd]}
    entries:
      - {name: WGAN, source: runs/wgan}
      - {name: clipped, recipe: digits/wgan_ratio_clipping, overrides: [train.steps=2000]}
      - {name: real, source: mnist/train}

    Started again it goes on where it was stopped; a score is computed anew only when something it depends on changed.
    """
    from genkit.evaluation.bench import report_page as bench_report
    from genkit.evaluation.bench.benchmark import run_bench
    from genkit.evaluation.bench.spec import Bench

    spec = Bench.load(bench)
    folder = out or Path("bench") / bench.stem
    sources = {entry.name: _read_by(entry) for entry in spec.entries}
    check_apart([Output("--out", folder, TABLES)], {"against": spec.against, "neighbours": spec.neighbours} | sources)
    join_launch()
    crew = crew_of_launch()
    with display() as shown:
        recipes = ShownTraining(TrainingWatcher(shown))
        result = run_bench(spec, folder, recipes, progress(shown, "scoring", "sample"), shown.note, crew)
    if crew.rank:
        return
    header, rows = bench_report.table(result)
    click.echo(bench_report.about(result))
    click.echo(table([[cell for cell, _ in row] for row in rows], header))
    click.echo("\n".join([bench_report.LEGEND, *(f"warning: {line}" for line in result["warnings"])]))
    click.echo(f"look at {folder / 'bench.html'}")


def _read_by(entry: BenchEntry) -> Any:
    """The source, or the data of the recipe."""
    if entry.recipe is None:
        return entry.source
    from genkit.training.recipe import Recipe

    return read_by(Recipe.load(entry.recipe, entry.overrides))


@dataclass(frozen=True)
class ShownTraining:
    """Trains the recipes of a bench and shows their progress."""

    watcher: TrainingWatcher

    def check(self, recipe: str, overrides: list[str]) -> None:
        from genkit.training.preparation import checked
        from genkit.training.recipe import Recipe

        checked(Recipe.load(recipe, overrides))

    def train(self, recipe: str, overrides: list[str], seed: int, run: Path) -> Path:
        """The finished run of a recipe with this seed; goes on with one that was stopped."""
        from genkit.training import train
        from genkit.training.recipe import Recipe
        from genkit.training.run_folder import RunFolder

        checked = Recipe.load(recipe, [*overrides, f"train.seed={seed}"])
        folder = RunFolder(run)
        if not folder.finished(checked):
            self.watcher.note(f"training {checked.name} with seed {seed} into {run}")
            try:
                train(checked, run, resume=True, watcher=self.watcher)
            except RunEnded as ended:
                ended.advice = "start the bench again, and it goes on"
                raise
            except TrainingError as diverged:
                reason = str(diverged).partition(";")[0]
                raise TrainingError(
                    f"{checked.name} with seed {seed}, {reason}; lower its learning rates with overrides of its entry, "
                    "such as optimizers.critic.lr=1e-4"
                ) from diverged
        return folder.weights

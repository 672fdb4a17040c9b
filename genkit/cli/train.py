"""genkit train: a recipe becomes a run folder with weights, samples, scores and a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.console import display, heading, say, table, warn
from genkit.cli.launch import join_launch
from genkit.cli.places import FOLDER, WEIGHTS, Input, Output, Writing, check_apart, skip_bad_option
from genkit.core.display import is_first_process
from genkit.core.errors import CheckpointError
from genkit.training.watcher import TrainingWatcher

if TYPE_CHECKING:
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder
    from genkit.training.staged import StagedRecipe


class TrainCommand(Writing):
    """The command, which explains how values of a recipe are changed where somebody gives them as options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as unknown:
            message = f"{unknown.message} Values of the recipe are changed without dashes, as in train.steps=500."
            raise click.NoSuchOption(unknown.option_name, message, unknown.possibilities, ctx) from unknown


@click.command("train", cls=TrainCommand)
@click.argument("recipe", type=Input("recipe"))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--out", type=FOLDER, help="Run folder; runs/<name of the recipe> by default.")
@click.option("--from", "start", type=WEIGHTS, help="Begin a new run from these weights, or from another run.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder; start it when there is none.")
@click.option("--dry-run", is_flag=True, help="Build everything, time a few iterations, write nothing.")
@skip_bad_option
@on_device
def command(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    start: str | None,
    resume: bool,
    dry_run: bool,
    skip_bad: bool,
) -> None:
    """Train RECIPE, a YAML file or a shipped name such as digits/wgan_ratio_clipping.

    KEY=VALUE changes a single value of the recipe: train.steps=500 optimizers.critic.lr=1e-4 data.split=train.
    Ctrl-C, SIGTERM and SIGUSR1 write a checkpoint and stop; --resume goes on as if nothing had happened.
    """
    from genkit.training.recipe import Recipe
    from genkit.training.staged import load_recipe, skipping_bad

    checked = load_recipe(recipe, overrides)
    checked = skipping_bad(checked) if skip_bad else checked
    folder, finished = _folder_of(out or Path("runs") / checked.name, checked)
    if dry_run and not (resume and finished):
        from genkit.cli.dry_run import describe_run

        say(describe_run(checked, start, _done(folder, checked, start) if resume else {}))
        try:
            folder.holds_run(resume)
        except CheckpointError as taken:
            warn([str(taken)])
        return
    join_launch()
    check_apart([Output("--out", folder.path, FOLDER)], read_by(checked))
    if resume and finished:
        if isinstance(checked, Recipe):
            folder.check(checked, resume, start)
        _tell(f"{folder.path} has finished already", folder)
        return
    _train(checked, folder, start, resume)
    _tell(f"finished {checked.name}", folder)


def _folder_of(path: Path, recipe: Recipe | StagedRecipe) -> tuple[RunFolder, bool]:
    """The folder of a run, and whether the run is finished."""
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder
    from genkit.training.stages import StagedFolder

    if not isinstance(recipe, Recipe):
        return StagedFolder(path), StagedFolder(path).done(recipe)
    folder = RunFolder(path)
    return folder, folder.finished(recipe)


def _done(folder: RunFolder, recipe: Recipe | StagedRecipe, start: str | None) -> dict[str, int]:
    """Iterations behind the run of each stage, "" where there are none, which may go on by `recipe`."""
    from genkit.training.recipe import Recipe
    from genkit.training.stages import StagedFolder

    if isinstance(recipe, Recipe):
        folder.check(recipe, resume=True, start=start)
        return {"": folder.step}
    staged = StagedFolder(folder.path)
    staged.check_stages(recipe, resume=True)
    return {name: staged.stage(name).step for name in recipe.trainings}


def read_by(recipe: Recipe | StagedRecipe) -> dict[str, Any]:
    """The data that a training reads."""
    from genkit.training.recipe import Recipe

    if not isinstance(recipe, Recipe):
        return {
            f"{name}: {key}": spec for name, stage in recipe.trainings.items() for key, spec in read_by(stage).items()
        }
    return {"data": recipe.data, "evaluate": recipe.evaluate and recipe.evaluate.against}


def _train(recipe: Recipe | StagedRecipe, folder: RunFolder, start: str | None, resume: bool) -> None:
    from genkit.training import train

    with display() as shown:
        watcher = TrainingWatcher(shown, f"training {recipe.name} into {folder.path}")
        train(recipe, folder.path, resume=resume, start=start, watcher=watcher)


def _tell(title: str, folder: RunFolder) -> None:
    if is_first_process():
        click.echo(f"{heading(title)}; look at")
        click.echo(table(list(_places(folder)), indent="  "))
        if rows := list(_scores(folder)):
            click.echo(table(rows, indent="  "))


def _places(folder: RunFolder) -> Iterator[tuple[str, str]]:
    """Results, and their paths."""
    from genkit.cli.evaluate import FEATURES, purpose

    for what, path in (("samples", folder.samples), ("report", folder.report)):
        if path.is_file():
            yield what, str(path)
    if folder.weights.is_dir():
        made = purpose(str(folder.path)) == FEATURES
        use = f"sample {folder.path} -n 64 --out samples" if made else f"evaluate {folder.path} --against DATA"
        yield "weights", f"{folder.weights}  (genkit {use})"
    if folder.scores.is_file():
        yield "scores", str(folder.scores)


def _scores(folder: RunFolder) -> Iterator[tuple[str, ...]]:
    """(score, value, what it says)."""
    from genkit.core.documents import read_mapping
    from genkit.training.report_tables import score_tables

    for name, value, _, says in score_tables(read_mapping(folder.scores))["values"]:
        yield name, value, says

"""genkit evaluate --metrics outliers: a data set's images, the most suspicious first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import display, progress, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.core.errors import GenkitError, TrainingError
from genkit.core.interruption import RunEnded
from genkit.training.watcher import TrainingWatcher

if TYPE_CHECKING:
    from genkit.core.crew import Crew
    from genkit.core.display import Display
    from genkit.evaluation.outliers import Game, Ranking
    from genkit.training.recipe import Recipe

RECIPE = "digits/robust_wgan_closed_form"
SHARE, SIZE, STEPS = 0.05, 16, 200
TRAINING_STEPS = click.Option(["--steps"], type=click.IntRange(2, 10**6))
LEAST = 50
"""Images from which a generator can learn something."""


ABOUT = """Rank the images of A, the most suspicious first.

It finds images that are hard for a generator, such as noise and damage; foreign ones as easy as the rest, such as
digits among clothes, are not found. It is short for 'genkit evaluate A --metrics outliers'.

\b
genkit outliers photos.zip --out ranked.csv --grid worst.png       a small GAN is trained on them
genkit outliers photos.zip --against runs/photos --out ranked.csv  judged by a run
"""


def score(
    data: str,
    run: str | None = None,
    share: float | None = None,
    out: Path | None = None,
    grid: Path | None = None,
    worst: int = 64,
    skip_bad: bool = False,
    **training: Any,
) -> None:
    """Ranks the images of DATA by the weights of robust optimal transport, the most suspicious first.

    It finds samples that are hard for a generator, such as noise and damage. Foreign samples as easy as the rest, such
    as digits among clothes, are not found.

    Args:
        run: a GAN's, on such images; None trains a small one now.
        training: size, steps and seed of the small one.
    """
    from genkit.core.chi_square import rho_of_share
    from genkit.evaluation.outliers import rank_outliers

    rho_of_share(SHARE if share is None else share)
    if "steps" in training:
        training["steps"] = TRAINING_STEPS.type.convert(training["steps"], TRAINING_STEPS, None)
    join_launch()
    crew = crew_of_launch()
    with display() as shown:
        if run:
            game = _of_run(run, training, shown)
            spec = _spec(data, game.generator.sample_shape[-1], game.generator.sample_shape[0], skip_bad)
            items = _items(spec)
            for line in (*items.remarks(), *_converted(spec)):
                shown.note(line)
        else:
            spec = _spec(data, training.get("size", SIZE), None, skip_bad)
            items = _items(spec)
            game = _trained(spec, items, SHARE if share is None else share, training, shown, crew)
        ranking = rank_outliers(on_device(game), items, share, progress(shown, "judging", "image"), crew)
    if crew.rank:
        return
    _tell(ranking, items, run)
    _write(ranking, items, out, grid, worst)


def _of_run(run: str, training: dict[str, int], shown: Display) -> Game:
    from genkit.evaluation.outliers import is_game
    from genkit.training.start import trained_system

    if training:
        raise GenkitError(
            f"--{next(iter(training))} is for training, but {run} has been trained already; leave one of them out"
        )
    recipe, system = trained_system(run, shown.note)
    if not is_game(system):
        raise GenkitError(f"{run} is of a {recipe.system['type']}, which has no critic; give a run of a gan_training")
    return system


def on_device(game: Any) -> Game:
    """The game where networks run."""
    from genkit.core.computing import computing

    return game.to(computing().device)  # type: ignore[no-any-return]


class ProgressAlone(TrainingWatcher):
    """Of a training in a folder that goes away: what it says of its files is of no use."""

    def note(self, line: str) -> None: ...


def _trained(
    spec: dict[str, Any], items: Any, share: float, training: dict[str, int], shown: Display, crew: Crew
) -> Game:
    """A small robust WGAN, learned from the data themselves in a folder of the first process that goes away."""
    from genkit.training import train
    from genkit.training.start import trained_system

    if len(items) < LEAST:
        raise GenkitError(f"{items.name} has {len(items)} images; a generator learns from {LEAST} or more")
    recipe = replace(_recipe(items.sample_shape, share, training), data=spec)
    with TemporaryDirectory() as folder:
        try:
            train(recipe, Path(crew.broadcast(folder)) / "run", watcher=ProgressAlone(shown))
        except RunEnded as ended:
            ended.advice = "nothing is kept; begin again, or train a run, which can go on, and give it with --against"
            raise
        except TrainingError as diverged:
            raise GenkitError(
                f"the small GAN on {items.name} diverged; try another --seed, or give a run with --against"
            ) from diverged
        game: Any = recipe.build_system() if crew.rank else trained_system(Path(folder) / "run")[1]
        game.load_state_dict(crew.broadcast({} if crew.rank else game.state_dict()))
    return game.eval()  # type: ignore[no-any-return]


def _recipe(sample_shape: tuple[int, ...], share: float, training: dict[str, int]) -> Recipe:
    from genkit.training.recipe import Recipe

    channels, size, _ = sample_shape
    steps, seed = training.get("steps", STEPS), training.get("seed", 0)
    changes = {
        "system.generator.network.size": size,
        "system.generator.network.channels": channels,
        "system.critic.size": size,
        "system.critic.channels": channels,
        "system.real_weighting.outlier_share": share,
        "system.real_weighting.start": steps * 5 // 2,
        "train.steps": steps,
        "train.seed": seed,
        "train.trackers": "[]",
        "every": "{log: 10, grid: 0, checkpoint: 0}",
    }
    return Recipe.load(RECIPE, [f"{key}={value}" for key, value in changes.items()])


def _spec(data: str, size: int, channels: int | None, skip_bad: bool) -> dict[str, Any]:
    """The spec by which the images are read; without `channels`, a folder's first files say whether it is grey."""
    from genkit.core import catalog
    from genkit.evaluation.real_data import folder_spec, read_name
    from genkit.images.image_files import ImageFiles

    named = read_name(data, "DATA")
    if isinstance(named, dict):
        takes = signature(catalog.find(named["type"], kind="data")).parameters
        wanted = {"size": size, "channels": channels}
        return {k: v for k, v in wanted.items() if v is not None and k in takes} | named
    if channels is None:
        files = ImageFiles(named)
        first = files.select(files.names[:32]).decode_all(skip_bad=True)
        channels = max((decoded.image.shape[0] for decoded in first), default=3)
    return folder_spec(named, size, channels, skip_bad)


def _converted(spec: dict[str, Any]) -> Iterator[str]:
    """A line where a named set is taken in other channels than it has; of a folder its report says so."""
    from genkit.core import catalog

    takes = signature(catalog.find(spec["type"], kind="data")).parameters
    if spec["type"] == "folder" or "channels" not in takes or spec["channels"] == takes["channels"].default:
        return
    conversions = {
        3: "grey images are taken as colour, with three equal channels",
        1: "colour images are taken as grey",
    }
    yield f"{spec['type']}: {conversions[spec['channels']]}, since that is what the run makes"


def _items(spec: dict[str, Any]) -> Any:
    from genkit.core import catalog

    items = catalog.build(spec, kind="data", where="DATA")
    if len(items.sample_shape) != 3:
        raise GenkitError(f"DATA: {items.name} holds points; images are ranked")
    return items


def _tell(ranking: Ranking, items: Any, run: str | None) -> None:
    if items.report:
        click.echo(f"{items.name}: {items.report.summary()}")
    junk = int(ranking.junk.sum())
    click.echo(
        f"of {len(items)} images {junk} ({100 * junk / len(items):.1f} %) look like junk: less than half of their "
        f"weight is left ({ranking.by}, rho {ranking.rho:.3g})"
    )
    if ranking.doubt:
        warn(
            [f"{ranking.doubt}; {'give another run' if run else 'train longer with --steps, or give a run'} --against"]
        )


def _write(ranking: Ranking, items: Any, out: Path | None, picture: Path | None, worst: int) -> None:
    from genkit.evaluation.outliers import write_ranking
    from genkit.images.grid import grid
    from genkit.images.pixels import write_png

    if out:
        write_ranking(ranking, out, list(items.files))
        click.echo(f"ranking in {out}")
    if picture:
        write_png(picture, grid(items.x[ranking.order[:worst]]))
        shown = (
            f"the {worst} most suspicious images" if worst < len(items) else "all images, the most suspicious first,"
        )
        click.echo(f"{shown} in {picture}")
    if not (out or picture):
        click.echo(
            "first rows: " + ", ".join(map(str, ranking.order[:10].tolist())) + "; all of them with --out FILE.csv"
        )

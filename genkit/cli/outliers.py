"""genkit outliers: a data set's images, the most suspicious first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import TrainingWatcher, display, progress
from genkit.cli.places import FILE, INPUT, Writing
from genkit.core.errors import GenkitError, TrainingError
from genkit.core.interruption import RunEnded

if TYPE_CHECKING:
    from genkit.cli.console import Display
    from genkit.evaluation.outliers import Game, Ranking
    from genkit.training.recipe import Recipe

RECIPE = "digits/robust_wgan_closed_form"
SHARE, SIZE, STEPS = 0.05, 16, 200
LEAST = 50
"""Images from which a generator can learn something."""


@click.command("outliers", cls=Writing)
@click.argument("data", type=INPUT)
@click.option("--run", type=click.Path(path_type=Path), help="A GAN run on such images; none trains a small one now.")
@click.option("--share", type=float, help=f"Up to this share of DATA may be junk, 0 to below 0.5; {SHARE} if not said.")
@click.option("--out", type=FILE, help="CSV: rank, row, file, weight and score of every image.")
@click.option("--grid", "picture", type=FILE, help="Picture of the most suspicious images.")
@click.option("--worst", type=click.IntRange(1, 10_000), default=64, show_default=True, help="Images in the picture.")
@click.option("--skip-bad", is_flag=True, help="Leave damaged files out, and say so, instead of stopping.")
@click.option("--size", type=click.IntRange(8, 256), help=f"Without --run: pixels of a side; {SIZE} if not said.")
@click.option("--steps", type=click.IntRange(2, 10**6), help=f"Without --run: iterations; {STEPS} if not said.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Without --run: of the training; 0 if not said.")
def command(
    data: str,
    run: Path | None,
    share: float | None,
    out: Path | None,
    picture: Path | None,
    worst: int,
    skip_bad: bool,
    **training: int | None,
) -> None:
    """Rank the images of DATA by the weights of robust optimal transport, the most suspicious first.

    DATA is a data set's name such as digits, a folder or a zip. What is found is what a generator finds hard, such as
    noise and damage. What is foreign but as easy as the rest, such as digits among clothes, is not found.
    """
    from genkit.core.chi_square import rho_of_share
    from genkit.evaluation.outliers import rank_outliers

    rho_of_share(SHARE if share is None else share)
    with display() as shown:
        if run:
            game = _of_run(run, training, shown)
            spec = _spec(data, game.generator.sample_shape[-1], game.generator.sample_shape[0], skip_bad)
            items = _items(spec)
            for line in (*items.remarks(), *_converted(spec)):
                shown.note(line)
        else:
            spec = _spec(data, training["size"] or SIZE, None, skip_bad)
            items = _items(spec)
            game = _trained(spec, items, SHARE if share is None else share, training, shown)
        ranking = rank_outliers(game, items, share, progress(shown, "judging", "image"))
    _tell(ranking, items)
    _write(ranking, items, out, picture, worst)


def _of_run(run: Path, training: dict[str, int | None], shown: Display) -> Game:
    from genkit.evaluation.outliers import is_game
    from genkit.training.trained import trained_system

    if given := [name for name, value in training.items() if value is not None]:
        raise GenkitError(f"--{given[0]} is for training, but {run} has been trained already; leave one of them out")
    recipe, system = trained_system(run, shown.note)
    if not is_game(system):
        raise GenkitError(f"{run} is of a {recipe.system['type']}, which has no critic; give a run of a gan_training")
    return system


def _trained(spec: dict[str, Any], items: Any, share: float, training: dict[str, int | None], shown: Display) -> Game:
    """A small robust WGAN, learned from the data themselves in a folder that goes away."""
    from genkit.training import train
    from genkit.training.trained import trained_system

    if len(items) < LEAST:
        raise GenkitError(f"{items.name} has {len(items)} images; what is usual is learned from {LEAST} or more")
    recipe = replace(_recipe(items.sample_shape, share, training), data=spec)
    with TemporaryDirectory() as folder:
        try:
            train(recipe, Path(folder) / "run", watcher=TrainingWatcher(shown))
        except RunEnded as ended:
            ended.advice = "nothing is kept; begin again, or train a --run, which can go on"
            raise
        except TrainingError as diverged:
            raise GenkitError(
                f"the small GAN that learns what is usual in {items.name} diverged; try another --seed, or give a --run"
            ) from diverged
        game: Any = trained_system(Path(folder) / "run")[1]
    return game  # type: ignore[no-any-return]


def _recipe(sample_shape: tuple[int, ...], share: float, training: dict[str, int | None]) -> Recipe:
    from genkit.training.recipe import Recipe

    channels, size, _ = sample_shape
    steps, seed = training["steps"] or STEPS, training["seed"] or 0
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
    """How the images are to be read; without `channels`, a folder's first files say whether it is grey."""
    from genkit.core import catalog
    from genkit.images.image_files import ImageFiles

    name, _, split = data.partition("/")
    if catalog.has("data", name) and not Path(data).exists():
        takes = signature(catalog.find(name, kind="data")).parameters
        wanted = {"split": split or None, "size": size, "channels": channels}
        return {"type": name} | {k: v for k, v in wanted.items() if v is not None and (k in takes or k == "split")}
    files = ImageFiles(data)
    if channels is None:
        first = files.select(files.names[:32]).decode_all(on_bad="skip")
        channels = max((decoded.image.shape[0] for decoded in first), default=3)
    bad: dict[str, Any] = {"on_bad": "skip"} if skip_bad else {}
    return {"type": "folder", "path": data, "size": size, "channels": channels, **bad}


def _converted(spec: dict[str, Any]) -> Iterator[str]:
    """A line where a named set is taken in other channels than it has; of a folder its report says so."""
    from genkit.core import catalog

    takes = signature(catalog.find(spec["type"], kind="data")).parameters
    if spec["type"] == "folder" or "channels" not in takes or spec["channels"] == takes["channels"].default:
        return
    ways = {3: "grey images are taken as colour, with three equal channels", 1: "colour images are taken as grey"}
    yield f"{spec['type']}: {ways[spec['channels']]}, since that is what the run makes"


def _items(spec: dict[str, Any]) -> Any:
    from genkit.core import catalog

    items = catalog.build(spec, kind="data", where="DATA")
    if len(items.sample_shape) != 3:
        raise GenkitError(f"DATA: {items.name} holds points; images are ranked")
    return items


def _tell(ranking: Ranking, items: Any) -> None:
    if items.report:
        click.echo(f"{items.name}: {items.report.summary()}")
    junk = int(ranking.junk.sum())
    click.echo(
        f"{junk} of {len(items)} images ({100 * junk / len(items):.1f} %) keep less than half of their weight "
        f"({ranking.by}, rho {ranking.rho:.3g})"
    )


def _write(ranking: Ranking, items: Any, out: Path | None, picture: Path | None, worst: int) -> None:
    from genkit.evaluation.outliers import write_ranking
    from genkit.images.pixels import grid, write_png

    if out:
        write_ranking(ranking, out, list(items.files))
        click.echo(f"ranking in {out}")
    if picture:
        write_png(picture, grid(items.x[ranking.order[:worst]]))
        click.echo(f"the {min(worst, len(items))} most suspicious images in {picture}")
    if not (out or picture):
        click.echo(
            "first rows: " + ", ".join(map(str, ranking.order[:10].tolist())) + "; all of them with --out FILE.csv"
        )

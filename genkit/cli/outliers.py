"""genkit evaluate --metrics outliers: a data set's images, the most suspicious first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import display, progress, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.outlier_game import on_device, ranked
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from genkit.core.display import Display
    from genkit.evaluation.outliers import Game, Ranking

SHARE, SMALLEST, LARGEST = 0.05, 8, 32
"""Share that may be junk, and sides at which images are learned where no size is given: larger ones are reduced, which
makes noise harder to see."""
TRAINING_STEPS = click.Option(["--steps"], type=click.IntRange(2, 10**6))
PEEK = 32
"""Files, at most and evenly spread, that say a folder's size and whether it is grey."""


ABOUT = """Rank the images of A, the most suspicious first.

It finds images that are hard for a generator, such as noise and damage; foreign ones as easy as the rest, such as
digits among clothes, are not found. It is short for 'genkit evaluate A --metrics outliers'.

\b
genkit outliers photos.zip --out ranked.csv --grid worst.png       by a small GAN, until it knows planted noise
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
            ranking = rank_outliers(on_device(game), items, share, progress(shown, "judging", "image"), crew)
        else:
            spec = _spec(data, training.get("size"), None, skip_bad)
            items = _items(spec)
            ranking = ranked(spec, items, SHARE if share is None else share, training, shown, crew)
    if crew.rank:
        return
    _tell(ranking, items, run, training.get("steps"))
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


def _spec(data: str, size: int | None, channels: int | None, skip_bad: bool) -> dict[str, Any]:
    """The spec by which the images are read; size and channels are as of the set or of some files, if not said."""
    from genkit.core import catalog
    from genkit.evaluation.real_data import folder_spec, read_name
    from genkit.images.image_files import ImageFiles

    named = read_name(data, "DATA")
    if isinstance(named, dict):
        takes = catalog.parameters(named["type"], kind="data")
        if channels is None and size is not None and ("size" in named or "size" not in takes):
            raise GenkitError(f"--size {size}: the size of {data} is said by itself; leave the option out")
        usual = takes["size"].default if "size" in takes else None
        wanted = {"size": size or (_side(usual) if isinstance(usual, int) else None), "channels": channels}
        return {k: v for k, v in wanted.items() if v is not None and k in takes} | named
    if size is not None and channels is not None:
        return folder_spec(named, size, channels, skip_bad)
    files = ImageFiles(named)
    some = files.names[:: -(-len(files) // PEEK)]
    shapes = [tuple(decoded.image.shape) for decoded in files.select(some).decode_all(skip_bad=True)]
    channels = channels or max((shape[0] for shape in shapes), default=3)
    if size is not None:
        return folder_spec(named, size, channels, skip_bad)
    sides = sorted(min(shape[1:]) for shape in shapes) or [LARGEST]
    return {**folder_spec(named, _side(sides[len(sides) // 2]), channels, skip_bad), "enlarge": True}


def _side(natural: int) -> int:
    return max(SMALLEST, min(LARGEST, natural) // 4 * 4)


def _converted(spec: dict[str, Any]) -> Iterator[str]:
    """A line where a named set is taken in other channels than it has; of a folder its report says so."""
    from genkit.core import catalog

    takes = catalog.parameters(spec["type"], kind="data")
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
    if items.sample_shape[-1] < SMALLEST:
        raise GenkitError(f"DATA: images of {items.sample_shape[-1]} pixels are too small; {SMALLEST} are needed")
    return items


def _tell(ranking: Ranking, items: Any, run: str | None, steps: int | None) -> None:
    if items.report:
        click.echo(f"{items.name}: {items.report.summary()}")
    longer = "give more --steps, or none; " if steps else ""
    if ranking.doubt:
        other = "give another run" if run else f"{longer}try another --seed or --size, or give a run"
        warn([f"{ranking.doubt}; {other} --against"])
    junk = int(ranking.junk.sum())
    click.echo(
        f"of {len(items)} images {junk} ({100 * junk / len(items):.1f} %) look like junk: less than half of their "
        f"weight is left ({ranking.by}, rho {ranking.rho:.3g}; seen at {items.sample_shape[-1]} pixels)"
    )
    click.echo(
        f"weights may leave out up to {100 * ranking.share:.3g} % (--share), and do so of images without junk too: "
        "it is an order in which to look, not a verdict"
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
        first = [str(items.files[row] if items.files else row) for row in ranking.order[:10].tolist()]
        click.echo(f"first rows: {', '.join(first)}; all of them with --out FILE.csv")

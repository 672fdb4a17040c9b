"""genkit directions: directions in the latent space of a generator, and a gallery of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.console import display, progress, table
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.own_recipe import lasting, train_once
from genkit.cli.places import ABOUT_WEIGHTS, COUNT, SEED, WEIGHTS, Place, Writing, loaded
from genkit.cli.result_file import write_json
from genkit.cli.sampler_options import Number
from genkit.core.errors import GenkitError
from genkit.core.files import check_own_folder

if TYPE_CHECKING:
    from genkit.core.crew import Crew
    from genkit.posthoc.directions.directions import Directions
    from genkit.posthoc.directions.spaces import Space

LEARNED = "learned"
TRAINING, SCORES = "training", "scores.json"
FILES = ("directions.html", "directions.yaml", "directions.safetensors", SCORES)
METHODS = (LEARNED, "sefa", "ganspace", "random", "coordinate")
MOST, STEPS, BATCH, RATE = 32, 3000, 32, 1e-3
"""Directions, steps of their training, pairs of a batch and learning rate, where nothing else is said.

The rate is ten times the paper's, whose trainings are thirty times as long.
"""
SHOWN = 4
"""Samples, the rows of a strip."""
FOLDER = Place(folder=True, replaces=FILES)


@click.command("directions", cls=Writing, epilog=ABOUT_WEIGHTS)
@click.argument("weights", type=WEIGHTS)
@click.option("--method", type=click.Choice(METHODS), default=LEARNED, show_default=True, help="How they are found.")
@click.option(
    "-k", "k", type=click.IntRange(1, 4096), help=f"Number of directions; {MOST}, or as many as the latent has."
)
@click.option("--space", default="z", show_default=True, help="Latent they live in: z, w, w.FIRST-LAST or a layer.")
@click.option("--steps", type=COUNT, help=f"Iterations of {LEARNED} ones; {STEPS:,} if not said.")
@click.option(
    "--score-steps", type=click.IntRange(0), default=300, show_default=True, help="Of the networks that tell."
)
@click.option("--classifier", type=WEIGHTS, help="Its probabilities are properties that a direction may move.")
@click.option("--reach", type=Number(0, 1000, min_open=True), help="Largest strength of a strip.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Same seed, same directions.")
@click.option("--resume", is_flag=True, help="Go on with the training in the folder; start it when there is none.")
@click.option("--out", type=FOLDER, required=True, help="Folder of the page, the directions and their scores.")
@on_device
def command(
    weights: str,
    method: str,
    k: int | None,
    space: str,
    steps: int | None,
    score_steps: int,
    classifier: str | None,
    reach: float | None,
    seed: int,
    resume: bool,
    out: Path,
) -> None:
    """Find directions in the latent of WEIGHTS that change its images, and draw a strip of each.

    \b
    OUT/directions.html    a gallery, with what each direction does
    OUT/directions.yaml    names, to be edited; genkit edit --direction takes them
    OUT/directions.safetensors, OUT/scores.json

    learned ones are easy to tell apart (Voynov and Babenko 2020); sefa and ganspace need no training; random and
    coordinate are baselines.
    """
    from genkit.cli.given_classifier import of_weights
    from genkit.core.generator import Generator
    from genkit.posthoc.directions.direction_scores import check_classifier, score
    from genkit.posthoc.directions.directions_folder import check_unnamed, write_directions
    from genkit.posthoc.directions.gallery import PAGE, write_gallery

    if method != LEARNED and (steps or resume):
        raise GenkitError(
            f"--{'steps' if steps else 'resume'} is of {LEARNED} directions; {method} ones need no training"
        )
    check_own_folder(out, {TRAINING, *FILES})
    if method != LEARNED and (out / TRAINING).is_dir():
        raise GenkitError(
            f"{out} holds directions that were learned, which {method} ones would replace; choose another --out"
        )
    check_unnamed(out)
    join_launch()
    generator, crew = loaded(Generator, weights), crew_of_launch()
    place = _space(generator, space)
    k = k or min(MOST, place.dim)
    judge: Any = of_weights(classifier).to(generator.device) if classifier else None  # type: ignore[attr-defined]
    if judge is not None:
        check_classifier(judge, tuple(generator.sample_shape))
    if method == LEARNED:
        found = _learned(weights, place, k, steps or STEPS, seed, out, resume)
    else:
        found = _closed_form(method, place, k, seed, crew)
    with display() as shown:
        parts = progress(shown, "scoring", "part")
        scored = score(found, score_steps, reach=reach, seed=seed, classifier=judge, progress=parts, crew=crew)
    if crew.rank:
        return
    write_directions(out, found, method)
    write_gallery(out / PAGE, found, scored, weights, method, range(seed, seed + SHOWN))
    _tell(scored)
    write_json(out / SCORES, scored.to_json())
    click.echo(f"{k} directions in {out}, see {out / PAGE}")


def _space(generator: Any, name: str) -> Space:
    from genkit.posthoc.directions.spaces import space_of

    if len(generator.sample_shape) != 3:
        raise GenkitError(f"directions are looked at in images, and this makes points {list(generator.sample_shape)}")
    return space_of(generator, name)


def _closed_form(method: Any, space: Space, k: int, seed: int, crew: Crew) -> Directions:
    from genkit.posthoc.directions.closed_form import closed_form
    from genkit.posthoc.directions.directions import Directions

    deformator = closed_form(method, space, k, seed, crew)
    found = Directions(space.generator, deformator, space.name).to(space.generator.device)
    found.measure(seed, crew)
    return found


def _learned(weights: str, space: Space, k: int, steps: int, seed: int, out: Path, resume: bool) -> Directions:
    from genkit.posthoc.directions.directions import Directions
    from genkit.training.recipe import Recipe

    run = out / TRAINING
    train_once(Recipe.from_dict(learned_recipe(weights, space, k, steps, seed)), run, resume)
    return loaded(Directions, str(run))  # type: ignore[no-any-return]


def learned_recipe(weights: str, space: Space, k: int, steps: int, seed: int) -> dict[str, Any]:
    """The tree of the recipe that directions are learned by."""
    from genkit.posthoc.directions.shifts import usual
    from genkit.posthoc.directions.telling import reconstructor_for

    channels, size = space.generator.sample_shape[0], space.generator.sample_shape[-1]
    return {
        "name": "directions",
        "description": f"Directions of {weights}, written by genkit directions.",
        "data": {"type": "blank", "size": size, "channels": channels},
        "system": {
            "type": "directions_training",
            "generator": {"weights": lasting(weights)},
            "deformator": {"type": "unit_columns", "directions": k, "dim": space.dim},
            "reconstructor": reconstructor_for(space.generator.sample_shape, k).config,
            "space": space.name,
            "shifts": usual(space.dim).config,
            "seed": seed,
        },
        "optimizers": {"directions": {"type": "adam", "lr": RATE}},
        "train": {"steps": steps, "batch_size": BATCH, "seed": seed, "ema": 0, "trackers": []},
        "every": {"log": 50, "grid": 0, "checkpoint": 500},
    }


def _tell(scored: Any) -> None:
    if scored.accuracy:
        rivals = ", ".join(f"{name} {100 * value:.1f} %" for name, value in scored.accuracy.items())
        click.echo(f"told apart by a network of {scored.settings['steps']} steps: {rivals}")
    rows = []
    for number, one in enumerate(scored.each):
        follows = f"{one.strongest} {one.moves[one.strongest]:+.2f}" if one.moves else ""
        share = "" if one.accuracy is None else f"{100 * one.accuracy:.0f} %"
        rows.append([number, follows, f"{100 * one.uniqueness:.0f} %", share, f"{one.effect:.3f}"])
    click.echo(table(rows, ["direction", "follows it most", "own effect", "told apart", "change of a pixel"]))

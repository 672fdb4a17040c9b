"""genkit evaluate --metrics control: whether a generator does as it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.places import loaded, made
from genkit.cli.result_file import write_json
from genkit.core.documents import is_spec
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from genkit.evaluation.control import ControlScores, Mean

KINDS = {
    "real": "real targets",
    "own": "own targets",
    "nearest": "copied",
    "chance": "chance",
    "judge": "judge",
}
"""Columns of the table, by kind of error."""


def score(
    weights: str,
    against: str,
    judge: str | None = None,
    n: int = 1000,
    seed: int = 0,
    json_path: Path | None = None,
    skip_bad: bool = False,
) -> None:
    """The tables of one generator with controls, and the same as JSON."""
    from genkit.core.generator import Generator
    from genkit.core.pretrained import Pretrained
    from genkit.evaluation.control import control_scores
    from genkit.images.property_changes import AttributeJudge

    if judge is None:
        raise GenkitError("--metrics control is judged by a network that had no part in training: give --judge WEIGHTS")
    join_launch()
    generator, crew = loaded(Generator, weights), crew_of_launch()
    reader = made(AttributeJudge, judge, "--judge") if is_spec(judge) else loaded(Pretrained, judge)
    with display() as shown:
        tell = progress(shown, "judging", "image")
        found = control_scores(generator, reader, against, n, seed, tell, skip_bad, crew)
    if crew.rank:
        return
    show(weights, judge, found)
    if _run_of(judge) and _run_of(weights) == _run_of(judge):
        warn(["the judge is of the run that it judges, where it had a part in the training: it may be fooled by it"])
    if json_path:
        write_json(json_path, found.to_json(), a=(weights, generator), judge=(judge, reader))


def _run_of(place: str) -> Path | None:
    """The run that weights are of, all its stages together; None of none."""
    from genkit.core.location import RECIPE

    path = Path(place).resolve()
    return next((folder for folder in reversed((path, *path.parents)) if (folder / RECIPE).is_file()), None)


def show(weights: str, judge: str, found: ControlScores) -> None:
    """Errors, drift of the others, and classes."""
    click.echo(heading(f"controls of {weights}, judged by {judge}"))
    rows = [
        (name, *(f"{number(each.errors.get(kind))}" for kind in KINDS), each.unit, f"{each.diversity:.2f}",
         f"{each.disentanglement:.3g}")
        for name, each in found.attributes.items()
    ]  # fmt: skip
    click.echo(table(rows, ("error", *KINDS.values(), "", "diversity", "disentangled")))
    names = dict.fromkeys([*found.attributes, *(j for each in found.attributes.values() for j in each.drift)])
    drift = [(name, *(_share(each.drift, j) for j in names)) for name, each in found.attributes.items()]
    if len(names) > 1:
        click.echo(table(drift, ("changed, drift of", *names)))
    for name, each in found.attributes.items():
        if each.classes:
            shares = [(k, f"{100 * real:.1f}", f"{100 * made:.1f}") for k, (real, made) in each.classes.items()]
            click.echo(table(shares, (name, "real, %", "generated, %")))
    click.echo(f"against {found.data['name']}, n = {found.n}, seed {found.seed}, {found.seconds:.1f} s")
    warn(found.warnings)


def number(mean: Mean | None) -> str:
    return "" if mean is None else f"{mean.value:.3g} +- {mean.error:.1g}"


def _share(drift: dict[str, float], name: str) -> str:
    return f"{drift[name]:.3f}" if name in drift else ""

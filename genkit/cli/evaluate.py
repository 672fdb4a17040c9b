"""genkit evaluate: two sets in, a table of scores out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from genkit.cli.console import display, heading, progress, table
from genkit.cli.places import FILE, INPUT, Writing
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from genkit.evaluation.scores import Classes, Score, Scores


@click.command("evaluate", cls=Writing)
@click.argument("a", type=INPUT)
@click.option(
    "--against",
    type=INPUT,
    required=True,
    help="Reference: data set, folder, zip, weights, run, .npz, .npy or clean-fid:...",
)
@click.option(
    "--metrics",
    help="Of 'genkit list metrics', or accuracy; fd,kd,pr and modes, as far as there can be, if not said.",
)
@click.option("-n", "n", type=click.IntRange(min=2), default=10_000, show_default=True, help="Samples of each side.")
@click.option(
    "--extractor",
    type=INPUT,
    help="Name from 'genkit list extractors' or a classifier's weights; default: by the data.",
)
@click.option("--extractor-weights", type=click.Path(path_type=Path), help="A file with the extractor's weights.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of samples and rows.")
@click.option("--json", "json_path", type=FILE, help="Also write everything to this file.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Changes speed alone.")
@click.option("--skip-bad", is_flag=True, help="Leave damaged files out, and say so, instead of stopping.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep features of real data.")
def command(
    a: str,
    against: str,
    metrics: str | None,
    n: int,
    extractor: str | None,
    extractor_weights: Path | None,
    seed: int,
    json_path: Path | None,
    batch_size: int,
    skip_bad: bool,
    no_cache: bool,
) -> None:
    """Score A against a reference.

    A is a weights folder, a run folder, a folder or zip of images, the name of a data set (such as fashion_mnist/test),
    points of 'genkit sample' (their folder or .npy), or .npz statistics of 'genkit stats'. With --metrics accuracy, A
    is a classifier, and the reference labelled data: a name, a folder, a zip, or a spec such as
    '{type: shifted, data: {type: mnist, split: test}, noise: 0.4}'.
    """
    if metrics == "accuracy":
        from genkit.cli import accuracy

        _refuse_unused(extractor=extractor, extractor_weights=extractor_weights, skip_bad=skip_bad, no_cache=no_cache)
        accuracy.command(a, against, n, seed, json_path)
        return
    from genkit.evaluation import evaluate

    with display() as shown:
        scores = evaluate(
            a,
            against,
            None if metrics is None else metrics.split(","),
            n,
            extractor,
            seed,
            batch_size,
            progress(shown, "features", "sample"),
            weights=extractor_weights,
            on_bad="skip" if skip_bad else "error",
            use_cache=not no_cache,
        )
    show(scores)
    if json_path:
        write_json(json_path, scores)


def _refuse_unused(**options: object) -> None:
    if given := [name.replace("_", "-") for name, value in options.items() if value]:
        raise GenkitError(f"--{given[0]} says how features are made, and accuracy needs none; leave it out")


class Plain(Protocol):
    """A result that can be written."""

    def to_json(self) -> dict[str, Any]: ...


def write_json(path: Path, scores: Plain) -> None:
    import json

    from genkit.core.files import write_atomically

    write_atomically(path, (json.dumps(scores.to_json(), indent=2) + "\n").encode())
    click.echo(f"written to {path}")


def show(scores: Scores) -> None:
    """The table, what the numbers depend on, class shares and warnings."""
    from rich.console import Console

    console = Console(highlight=False)
    click.echo(heading(f"{scores.a.name} against {scores.against.name}"))
    click.echo(table([_row(score) for score in scores.scores.values()], ("score", "value", "standard error", "better")))
    for side in (scores.a, scores.against):
        if side.classes:
            console.print(_shares(side.name, side.classes), markup=False)
    console.print(_basis(scores), markup=False)
    for warning in scores.warnings:
        console.print(f"warning: {warning}", markup=False, style="yellow")


def _row(score: Score) -> tuple[str, ...]:
    error = "" if score.standard_error is None else f"{score.standard_error:.2g}"
    return score.label, f"{score.value:.6g}", error, score.better


def _shares(name: str, classes: Classes) -> str:
    shares = ", ".join(f"{label} {100 * share:.1f}" for label, share in classes.shares.items())
    return f"classes of {name} in percent: {shares}; mean top probability {classes.top_probability:.3f}"


def _basis(scores: Scores) -> str:
    extractor = scores.extractor
    resize = f", {extractor['resize']} resize to {extractor['size']}" if extractor["size"] else ""
    n, m = (side.n or "unknown" for side in (scores.a, scores.against))
    return (
        f"extractor {extractor['name']} (sha256 {extractor['sha256'][:8]}{resize}), {scores.dim} dimensions, "
        f"n = {n} and {m}, rank {scores.a.rank} and {scores.against.rank}, seed {scores.seed}, "
        f"{scores.seconds:.1f} s"
    )

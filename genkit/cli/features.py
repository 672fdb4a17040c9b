"""genkit evaluate by features: two sets in, a table of scores out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.result_file import write_json
from genkit.cli.sampler_options import OPTIONS, configured
from genkit.core.display import is_first_process
from genkit.core.errors import GenkitError, shown

if TYPE_CHECKING:
    from genkit.evaluation.scores import FoundClasses, Score, Scores
    from genkit.evaluation.sources import Source

OF_SAMPLING = tuple(name.removeprefix("--") for name in OPTIONS)
HEADER = ("score", "value", "standard error", "better", "in words")


def score(
    a: str,
    against: str,
    *,
    metrics: Sequence[str] | None = None,
    extractor_weights: Path | None = None,
    json_path: Path | None = None,
    skip_bad: bool = False,
    no_cache: bool = False,
    **settings: Any,
) -> None:
    """Scores of A against a reference, shown and written; settings as of `genkit.evaluation.evaluate`, and those of
    `configured`."""
    from genkit.evaluation import evaluate

    join_launch()
    sampling = {name: settings.pop(name) for name in OF_SAMPLING if name in settings}
    with display() as shown:
        scores = evaluate(
            _sampled(a, sampling) if sampling else a,
            against,
            metrics,
            progress=progress(shown, "features", "sample"),
            weights=extractor_weights,
            skip_bad=skip_bad,
            use_cache=not no_cache,
            crew=crew_of_launch(),
            **settings,
        )
    if not is_first_process():
        return
    show(scores)
    if json_path:
        write_json(json_path, scores.to_json())


def _sampled(weights: str, sampling: dict[str, Any]) -> Source:
    """The samples of weights with their sampler exchanged, named by what was asked for."""
    from genkit.evaluation.opening import opening
    from genkit.evaluation.sources import of_generator

    opened = opening(weights, "a")
    if not opened.makes_samples:
        raise GenkitError(f"--{next(iter(sampling))} says how samples are made, and {shown(weights)} has none to make")
    source: Any = opened.open()
    asked = " ".join(f"--{name} {as_typed(value)}" for name, value in sampling.items())
    return of_generator(configured(source.generator, sampling), f"{weights} {asked}")


def as_typed(value: Any) -> str:
    """The value of an option as a command line has it."""
    if isinstance(value, dict):
        return ",".join(f"{key}={as_typed(each)}" for key, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def show(scores: Scores) -> None:
    """Prints the table, the settings behind its numbers, class shares and warnings."""
    click.echo(heading(f"{scores.a.name} against {scores.against.name}"))
    click.echo(table([_row(name, score, scores.fewest) for name, score in scores.scores.items()], HEADER))
    for side in (scores.a, scores.against):
        if side.classes:
            click.echo(_shares(side.name, side.classes))
    click.echo(_basis(scores))
    warn(scores.warnings)


def _row(name: str, score: Score, n: int | None) -> tuple[str, ...]:
    from genkit.evaluation.verdicts import verdict

    error = "" if score.standard_error is None else f"{score.standard_error:.2g}"
    return score.label, f"{score.value:.6g}", error, score.better, verdict(name, score.value, n=n)


def _shares(name: str, classes: FoundClasses) -> str:
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

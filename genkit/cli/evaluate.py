"""genkit evaluate: scores of generators, classifiers and data, by any metric that fits them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from genkit.cli.computing_options import computes
from genkit.cli.places import (
    ABOUT_DATA,
    ABOUT_WEIGHTS,
    COUNT,
    DATA,
    FILE,
    JSON,
    PICTURE,
    SEED,
    WEIGHTS,
    Input,
    Option,
    Writing,
    option,
    skip_bad_option,
)
from genkit.cli.sampler_options import OPTIONS
from genkit.core.documents import is_spec, read_mapping
from genkit.core.errors import GenkitError

FEATURES = "features"
MOST = (FEATURES, "accuracy", "attributes", "likelihood", "ratio", "control")
METRICS = ("accuracy", "attributes", "likelihood", "ratio", "knn", "outliers", "control")
"""Metrics that are computed alone, each by the function `score` of a module here; FEATURES stands for all others."""


SHARED: dict[str, dict[str, Any]] = {
    "--steps": {
        "of": (FEATURES, "likelihood", "outliers"),
        "help": f"{OPTIONS['--steps']['help']} Of likelihood: steps kept of the diffusion; of outliers: of training.",
    }
}
"""Options of sampling that mean something else to other metrics."""


def _samples(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of `genkit sample` that exchange a sampler or guide it."""
    for name, settings in reversed(OPTIONS.items()):
        command = option(name, **{"of": (FEATURES,), **settings, **SHARED.get(name, {})})(command)
    return command


@click.command("evaluate", cls=Writing, epilog=f"{ABOUT_WEIGHTS} {ABOUT_DATA}")
@click.argument("a", type=Input("a"))
@option("--against", type=DATA, before=("test", "run"), help="Reference; for outliers a run that judges.")
@option("--metrics", help="Of 'genkit list metrics', or one above; by what A is, if not said.")
@option(
    "-n", "n", type=COUNT, of=MOST, help="Samples of each side; 10,000 or 1,000 if not said. Not of knn and outliers."
)
@option("--seed", type=SEED, of=(*MOST, "outliers"), help="Of samples, rows and noise; 0 if not said.")
@option(
    "--json", "json_path", type=JSON, of=(*MOST, "knn"), help="Also write everything to this file. Not of outliers."
)
@skip_bad_option
@option("--batch-size", type=COUNT, of=(FEATURES, "likelihood"), help="Changes speed alone.")
@option("--extractor", type=WEIGHTS, of=(FEATURES,), help="Of 'genkit list extractors', or a classifier.")
@option("--extractor-weights", type=click.Path(path_type=Path), of=(FEATURES,), help="A file with its weights.")
@option("--no-cache", is_flag=True, of=(FEATURES,), help="Neither use nor keep features of data.")
@option(
    "--judge",
    type=WEIGHTS,
    of=("control",),
    help="WEIGHTS that read attributes and had no part in the training, or a spec: {type: measured_shape}.",
)
@option("--samples", type=COUNT, of=("likelihood",), help="VAE: latents a row; 100 if not said.")
@option("--nearest", type=COUNT, of=("likelihood",), help="VAE: only so many exemplars; a lower bound.")
@option("--train", type=DATA, of=("knn",), help="Labelled data to compare with.")
@option("-k", "k", of=("knn",), help="Numbers of neighbours; 1,5,9,15 if not said.")
@option("--share", type=float, of=("outliers",), help="Up to this share may be junk, 0 to below 0.5; 0.05.")
@option("--out", type=FILE, of=("outliers",), help="CSV: rank, row, file, weight and score of all.")
@option("--grid", type=PICTURE, of=("outliers",), help="Picture of the most suspicious images.")
@option("--worst", type=click.IntRange(1, 10_000), of=("outliers",), help="Images in it; 64.")
@option("--size", type=click.IntRange(8, 256), of=("outliers",), help="Side to train at, in pixels; their own, to 32.")
@_samples
@click.pass_context
@computes
def command(ctx: click.Context, a: str, against: str | None, metrics: str | None, **options: Any) -> None:
    """Score A against a reference.

    \b
    features    A and reference: WEIGHTS, DATA, points of 'genkit sample', .npz
                of 'genkit stats', or clean-fid:cifar10/train and its like
    accuracy    A: WEIGHTS of a classifier; reference: labelled DATA
    attributes  A: WEIGHTS of a predictor; reference: DATA with attributes
    likelihood  A: WEIGHTS of a VAE or diffusion model; reference: DATA
    ratio       A: WEIGHTS that genkit refine made; reference: DATA
    knn         A: WEIGHTS of a VAE; reference: labelled DATA, all of which are
                classified by the nearest latents of --train
    control     A: WEIGHTS of a GAN with controls; reference: DATA, read by --judge
    outliers    A: DATA, ranked by a GAN's run (the reference), or by a small
                GAN that is trained on them now
    """
    use = _use(a, metrics)
    _refuse_unused(ctx, use, metrics or use)
    if against is None and use != "outliers":
        raise click.UsageError("Missing option '--against'.", ctx)
    given = {name: value for name, value in options.items() if _is_given(value)}
    if use == FEATURES and metrics is not None:
        given["metrics"] = metrics.split(",")
    import_module(f"genkit.cli.{use}").score(a, against, **given)


def of_use(use: str) -> click.Command:
    """The command as a reader of one of `METRICS` wants to see it: with its own text and options."""
    about = import_module(f"genkit.cli.{use}").ABOUT
    params = [p for p in command.params if p.name != "metrics" and use in (getattr(p, "of", ()) or (use,))]
    return Writing(use, params=params, help=about, epilog=command.epilog)


def _use(a: str, metrics: str | None) -> str:
    """The metric that is asked for alone; where nothing is asked for, what `a` is for."""
    if metrics is None:
        return purpose(a)
    names = metrics.split(",")
    if len(names) > 1 and (alone := [name for name in names if name in METRICS]):
        raise GenkitError(f"--metrics: {alone[0]} is asked for alone; leave it out, or the others")
    return metrics if metrics in METRICS else FEATURES


def purpose(weights: str) -> str:
    """The metric of weights by what they are: accuracy of a classifier, attributes of a predictor, else FEATURES."""
    if is_spec(weights):
        return FEATURES
    from genkit.core.catalog import load, shipped
    from genkit.core.location import CONFIG
    from genkit.core.table import lookup

    folders = (Path(weights), Path(weights) / "weights", shipped("weights") / weights)
    config = next((folder / CONFIG for folder in folders if (folder / CONFIG).is_file()), None)
    known = lookup(read_mapping(config).get("type")) if config else None
    made = load(known[1].target) if known else None
    if hasattr(made, "right"):
        return "accuracy"
    return "attributes" if hasattr(made, "embed") and hasattr(made, "predict") else FEATURES


def _is_given(value: object) -> bool:
    return value is not None and value is not False


def _refuse_unused(ctx: click.Context, use: str, called: str) -> None:
    """Raises GenkitError for an option that another metric would need.

    Args:
        called: what was asked for, in the words of the command line.
    """
    for parameter in ctx.command.params:
        of = parameter.of if isinstance(parameter, Option) else ()
        if of and use not in of and _is_given(ctx.params.get(parameter.name or "")):
            says = "says how samples or features are made" if of == (FEATURES,) else f"is for {_listed(of)}"
            raise GenkitError(f"{parameter.opts[0]} {says}, and {called} needs no such thing; leave it out")


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

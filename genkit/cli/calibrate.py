"""genkit calibrate: what distances of a predictor or a measure mean, and thresholds for a contrastive loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from genkit.cli.attributes import predicting
from genkit.cli.computing_options import on_device
from genkit.cli.console import display, heading, progress, table, warn
from genkit.cli.places import ABOUT_DATA, DATA, SEED, WEIGHTS, loaded, made, skip_bad_option
from genkit.cli.sampler_options import Number
from genkit.core.documents import is_spec, parse_yaml
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from genkit.evaluation.attribute_calibration import Calibrations, Embed


@click.command("calibrate", epilog=ABOUT_DATA)
@click.argument("reader", type=WEIGHTS)
@click.argument("data", type=DATA)
@click.option("-n", "n", type=click.IntRange(min=2), default=2000, show_default=True, help="Images.")
@click.option("--noise", type=Number(0, 1), default=0.05, show_default=True, help="Of the slight change.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of images and noise.")
@skip_bad_option
@on_device
def command(reader: str, data: str, n: int, noise: float, seed: int, skip_bad: bool) -> None:
    """Tell how far apart images of DATA lie by what READER compares, and suggest thresholds.

    READER is WEIGHTS of a predictor of attributes or of a classifier, or a measure such as '{type: mean_colour}'.

    The noise is the distance that 95 % of images keep from themselves when normal noise is added to their pixels in
    [-1, 1]. tau_plus is the larger of it and of 5 % of the mean distance of two images; tau_minus is what 70 % of pairs
    are within. The YAML at the end has them for both distances.
    """
    from genkit.evaluation.attribute_calibration import QUANTILES, calibrate

    embeddings, sample_shape = _compared(reader)
    images = _images(data, sample_shape, skip_bad)
    with display() as shown:
        found = calibrate(embeddings, images, n, seed, noise, progress(shown, "embedding", "image"))
    rows = [
        (name, distance, *(f"{v:.3g}" for v in (c.noise, c.mean, *c.quantiles)))
        for name, of in found.items()
        for distance, c in of.items()
    ]
    count = f"{min(n, len(images)):,} images of {images.name}, noise {noise:g}, seed {seed}"
    click.echo(heading(f"{reader} on {count}"))
    click.echo(table(rows, ("attribute", "distance", "noise", "mean", *(f"{100 * q:g} %" for q in QUANTILES))))
    click.echo(_yaml(found))
    warn(images.remarks())
    warn(
        f"{name}: by the {distance} distance, noise is as large as what tells two images apart; no threshold fits"
        for name, of in found.items()
        for distance, c in of.items()
        if not c.usable
    )


def _compared(reader: str) -> tuple[dict[str, Embed], tuple[int, ...]]:
    """The embeddings of images, by attribute, and the shape of the images; () where any will do."""
    from genkit.classifiers.image_classifier import ImageClassifier
    from genkit.core.computing import computing
    from genkit.core.pretrained import Pretrained
    from genkit.evaluation.attribute_calibration import embeddings_of
    from genkit.gan.control.measures import Measure, PredictedClass, embedded

    if is_spec(reader):
        measure: Any = made(Measure, reader, "READER")
        name = str(parse_yaml(reader)["type"])
    elif isinstance(held := loaded(Pretrained, reader), ImageClassifier):
        measure, name = PredictedClass(held), "class"
    else:
        predictor = predicting(reader, held)
        return embeddings_of(predictor), tuple(predictor.sample_shape)
    place = computing().device
    return {name: lambda x: embedded(measure, x.to(place), name)}, tuple(getattr(measure, "sample_shape", ()))


def _images(data: str, sample_shape: tuple[int, ...], skip_bad: bool) -> Any:
    from genkit.core.catalog import build
    from genkit.evaluation.real_data import open_data, read_name

    if sample_shape:
        return open_data(data, sample_shape, "DATA", skip_bad)
    named = read_name(data, "DATA")
    if not isinstance(named, dict):
        spec = f"{{type: folder, path: {named}, size: 32, channels: 3}}"
        raise GenkitError(f"DATA: this measure takes images of any size; say which, as {spec}")
    return build(named, kind="data", where="DATA")


def _yaml(found: Calibrations) -> str:
    """One line an attribute and distance, as arguments of a contrastive loss."""
    lines = [
        f"- {{attribute: {name}, distance: {distance}, tau_plus: {c.tau_plus:.3g}, tau_minus: {c.tau_minus:.3g}}}"
        for name, of in found.items()
        for distance, c in of.items()
        if c.usable
    ]
    return "\n".join(["# of each attribute one", *lines])

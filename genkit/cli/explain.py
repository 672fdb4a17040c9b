"""genkit explain: what changes a classifier's mind, by a StyleEx; or the examples behind an exemplar VAE."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.own_module import is_source
from genkit.cli.places import (
    ABOUT_WEIGHTS,
    COUNT,
    JSON,
    PICTURE,
    SEED,
    WEIGHTS,
    Input,
    Option,
    Place,
    Writing,
    option,
    skip_bad_option,
)
from genkit.cli.sampler_options import Number
from genkit.core.errors import GenkitError, with_article
from genkit.core.files import at_home, held_in

CLASSIFIER, EXEMPLARS = "classifier", "exemplars"
ABOUT_SUBJECT = (
    "CLASSIFIER is a StyleEx, which holds the classifier that it was trained with: a run, its weights or a shipped "
    "name. With --by RUN it is that classifier by itself, as it must be for code of one's own: "
    "package.module:factory, or weights of one."
)
STRIPS = (".gif", ".webp", ".png")
PAGE = "explanation.html"
SELECTIONS = ("paper", "notebook", "share")
PAGES_OWN = ("explanation.json", "search/*/search.json")
"""One of these lies in a folder that a page was written to, or will be."""


class PageOrStrip(Place):
    """A folder for a page and its pictures, or by its name the file of an animation or strip."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(at_home(str(value)))
        if path.suffix.lower() in STRIPS:
            return Place().convert(value, param, ctx)
        if held_in(path) and not any(any(path.glob(name)) for name in PAGES_OWN):
            self.fail(f"{path} holds other files; give a new folder, or that of an explanation", param, ctx)
        return Place(folder=True, replaces=self.replaces).convert(value, param, ctx)


EXPLAINED = PageOrStrip(folder=True, replaces=(PAGE, "explanation.*", "class-*.png"))
IMAGE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("explain", cls=Writing, epilog=f"{ABOUT_SUBJECT} {ABOUT_WEIGHTS}")
@click.argument("subject", type=Input("classifier"), metavar="WEIGHTS|CLASSIFIER")
@click.argument("images", type=Input("images"), required=False)
@option("--by", type=WEIGHTS, of=(CLASSIFIER,), help="The StyleEx that explains it, if CLASSIFIER is none itself.")
@option("--out", type=EXPLAINED, of=(CLASSIFIER,), help="Folder of the page; of --attribute a .gif, .webp or .png.")
@option("--to", of=(CLASSIFIER,), help="Class, by name or number: what would have to change for IMAGES, one file.")
@option(
    "--attribute", type=COUNT, of=(CLASSIFIER,), help="Show this one of --to, 1 the strongest; the page shows five."
)
@option("--strength", type=Number(-10, 10), of=(CLASSIFIER,), help="How far it is moved; 1 is as far as on the page.")
@option("--found", type=WEIGHTS, of=(CLASSIFIER,), help="Page for --to, or its run; that of the StyleEx if not said.")
@option(
    "--judge",
    type=WEIGHTS,
    of=(CLASSIFIER,),
    help="Reads attributes of images: says what each one changes. Or a spec: {type: measured_shape}.",
)
@option(
    "--selection",
    type=click.Choice(SELECTIONS),
    of=(CLASSIFIER,),
    help="How attributes are chosen for a page: as in the paper, which is the default; as in the authors' notebook, "
    "without images that move with whatever is changed; or by the share of images that each moves.",
)
@option(
    "--without-colours",
    is_flag=True,
    of=(CLASSIFIER,),
    help="Search a page's attributes without the layers that make colours, as the authors do.",
)
@option(
    "--realistic",
    is_flag=True,
    of=(CLASSIFIER,),
    help="Leave out of a page what the critic of the StyleEx sees as damage; it lies in the run that trained it.",
)
@option("--seed", type=SEED, of=(CLASSIFIER,), help="Of the choice of images for a page; 0 if not said.")
@click.option("-n", "n", type=COUNT, help="Images searched, 250; or exemplars behind the image, 8.")
@click.option("--grid", type=PICTURE, help="Picture of one image and what changes it, or stands behind it.")
@click.option("--json", "json_path", type=JSON, help="Also write everything about one image to this file.")
@skip_bad_option
@click.pass_context
@on_device
def command(ctx: click.Context, subject: str, images: str | None, **options: Any) -> None:
    """Tell what changes the mind of CLASSIFIER, by IMAGES and a StyleEx that was trained with it.

    \b
    genkit explain runs/cats --out page cats/test           the page, of many images
    genkit explain my.net:make cats/test --by runs/cats --out page
    genkit explain runs/cats cat.png --to dog               one image
    genkit explain runs/cats --to dog --attribute 3 --strength 2 --out ears.gif

    `genkit explain train` makes such a StyleEx. Of WEIGHTS of an exemplar VAE: the data by which they generate, and the
    exemplars behind an image, nearest first.
    """
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    if _use(subject, given) == EXEMPLARS:
        from genkit.cli import exemplars

        _refuse(ctx, given)
        if "skip_bad" in given:
            raise GenkitError("--skip-bad is of folders; IMAGES is one file here, leave it out")
        image = None if images is None else IMAGE.convert(images, ctx.command.params[1], ctx)
        exemplars.explain(subject, image, given.get("n"), given.get("grid"), given.get("json_path"))
        return
    from genkit.cli.explaining import page

    check(images, given)
    page.explain(subject, images, given)


OF_A_SEARCH = ("seed", "judge", "selection", "without_colours", "realistic")
NEEDLESS = {
    "attribute": ("an --attribute is animated", ("grid", "json_path", "n", *OF_A_SEARCH)),
    "to": ("one image is explained", ("n", *OF_A_SEARCH, "skip_bad")),
    "page": ("a page is made", ("found",)),
}
"""Uses by the option that stands for them: in words, and the options that they do not read."""


def check(images: str | None, given: Mapping[str, Any]) -> None:
    """Raises GenkitError for options that do not go together."""
    from genkit.images.decoding import SUFFIXES

    out = given.get("out")
    is_strip = out is not None and out.suffix.lower() in STRIPS
    if "attribute" in given:
        if "to" not in given:
            raise GenkitError("--attribute is one of a class: say which with --to CLASS")
        if not is_strip:
            raise GenkitError("say where the animation goes with --out FILE.gif, .webp or .png")
    elif "strength" in given:
        raise GenkitError("--strength is of an --attribute: say which")
    elif images is None:
        raise GenkitError("IMAGES are missing: a data set, folder or zip; with --to an image file")
    elif "to" in given:
        if not Path(images).is_file():
            raise GenkitError(f"--to explains one image, and {images} is no file")
        if out is not None:
            raise GenkitError("--out is of the page; one image is shown by --grid FILE.png and --json FILE")
    elif Path(images).is_file() and Path(images).suffix.lower() in SUFFIXES:
        raise GenkitError(f"{images} is one image: say what it should become with --to CLASS; a page is of many images")
    elif out is None or is_strip:
        raise GenkitError("say where the page goes with --out FOLDER")
    if "to" not in given and ("grid" in given or "json_path" in given):
        raise GenkitError("--grid and --json are of one image: say what it should become with --to CLASS")
    use = next((name for name in ("attribute", "to") if name in given), "page")
    words, needless = NEEDLESS[use]
    for name in needless:
        if name in given:
            option = "-n" if name == "n" else f"--{name.removesuffix('_path').replace('_', '-')}"
            raise GenkitError(f"{option} is not read where {words}; leave it out")


def _use(subject: str, given: dict[str, Any]) -> str:
    """The use that is meant: by the options, or by SUBJECT where they do not say it."""
    of_classifier = {"by", "to", "attribute", "found"} & given.keys()
    if of_classifier or is_source(subject) or Path(subject).is_file() or subject.partition(":")[0] == "torchvision":
        return CLASSIFIER
    made = _class_of(subject)
    if hasattr(made, "attribute_layers") or hasattr(made, "right"):
        return CLASSIFIER
    if hasattr(made, "exemplars"):
        return EXEMPLARS
    kind = with_article(made.__name__) if made else "of a type that is not known here"
    raise GenkitError(f"{subject} is {kind}; what can be explained is a classifier, a StyleEx or an exemplar VAE")


def _class_of(weights: str) -> Any:
    """The class that weights are of, by their configuration; raises GenkitError where there are none."""
    from genkit.core.catalog import load
    from genkit.core.location import locate
    from genkit.core.pretrained import configuration
    from genkit.core.table import lookup

    config = configuration(locate(weights))
    known = lookup(config.get("type")) if isinstance(config, dict) else None
    return load(known[1].target) if known else None


def _refuse(ctx: click.Context, given: dict[str, Any]) -> None:
    """Raises GenkitError for an option of classifiers."""
    for parameter in ctx.command.params:
        if isinstance(parameter, Option) and parameter.of == (CLASSIFIER,) and parameter.name in given:
            raise GenkitError(f"{parameter.opts[0]} is of a classifier that a StyleEx explains; leave it out")

"""genkit explain train: from a classifier and images to the page that explains it, in one command that can go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.given_classifier import (
    ABOUT_CLASSIFIER,
    KEYS,
    GivenClassifier,
    built,
    classifier_options,
    of_weights,
)
from genkit.cli.launch import join_launch
from genkit.cli.own_recipe import called, lasting, train_once
from genkit.cli.places import ABOUT_DATA, COUNT, DATA, FOLDER, SEED, WEIGHTS, Input, Writing, skip_bad_option
from genkit.core.display import is_first_process
from genkit.core.errors import GenkitError, RecipeError, shown

if TYPE_CHECKING:
    from genkit.training.recipe import Recipe

SIZES = (16, 32, 64, 128, 256)
MEASURED = 256
"""Images that tell how certain a classifier is."""
KEPT = 0.2
"""Share of the images, at most, that is not trained on, for the page."""


@click.command("explain train", cls=Writing, epilog=f"{ABOUT_CLASSIFIER} {ABOUT_DATA}")
@click.argument("name", type=Input("classifier"), metavar="CLASSIFIER")
@click.argument("data", type=DATA)
@click.option("--out", type=FOLDER, required=True, help="Run folder; the page is in its folder explanation.")
@click.option("--size", type=click.Choice([str(s) for s in SIZES]), help="Side length of the images, of code; 64.")
@click.option("--steps", type=COUNT, help="Iterations of training; 20,000 if not said.")
@click.option("--minutes", type=COUNT, help="In place of --steps: as many as fit, measured before it starts.")
@click.option("--against", type=DATA, help="Images to explain; a part of DATA that is kept back if not said.")
@click.option("--judge", type=WEIGHTS, help="Reads attributes of images: says what each change is.")
@click.option("-n", "n", type=COUNT, help="Images searched; 250 if not said.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of training and choice of images.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder; start it when there is none.")
@skip_bad_option
@classifier_options
@on_device
def command(
    name: str,
    data: str,
    out: Path,
    size: str | None,
    steps: int | None,
    minutes: int | None,
    against: str | None,
    judge: str | None,
    n: int | None,
    seed: int,
    resume: bool,
    skip_bad: bool,
    range_: tuple[float, ...] | None,
    **options: Any,
) -> None:
    """Train a StyleEx with CLASSIFIER on DATA, search what changes its mind, and write the page.

    The recipe is written first, as OUT/recipe.yaml. What was stopped goes on with the same command and --resume.
    """
    from genkit.cli.explain_images import loaded_judge, searched_of
    from genkit.evaluation.real_data import open_data

    asked = GivenClassifier(name, range=range_, **options)
    asked.check()
    kept = _kept_classifier(out)
    asked, size = asked.completed(kept), size or str(kept.get("size", "")) or None
    if steps and minutes:
        raise GenkitError("--steps and --minutes both say how long to train; give one of them")
    searched = searched_of(n)
    classifier: Any = built(asked, _size(asked, size))
    _check_same(asked, classifier, kept, out)
    loaded_judge(judge)
    join_launch()
    spec = _checked_data(data, classifier, "DATA", skip_bad)
    opened = open_data(spec, tuple(classifier.sample_shape), "DATA")
    temperature = _tried_on(classifier, opened)
    if against:
        explained = _checked_data(against, classifier, "--against", skip_bad)
    else:
        spec, explained = _parted(spec, len(opened), searched, seed)
    _check_decisions(classifier, explained, "--against" if against else "DATA", searched, seed)
    recipe = _recipe(out, spec, classifier, _reference(asked, classifier, out), temperature, steps, minutes, seed)
    _train(recipe, out, resume)
    _explain(name, explained, out, judge, n, seed)


def _size(asked: GivenClassifier, size: str | None) -> int:
    """Side length of the images: that of genkit's own classifiers, else as asked."""
    if asked.is_code or asked.weights:
        return int(size or 64)
    own = int(of_weights(asked.name).sample_shape[-1])  # type: ignore[attr-defined]
    if size and int(size) != own:
        raise GenkitError(f"--size {size}: {asked.name} takes images of {own} pixels; leave it out")
    if own not in SIZES:
        raise GenkitError(
            f"{asked.name} takes images of {own} pixels, and the generator makes {', '.join(map(str, SIZES))}; train a "
            "classifier of such images"
        )
    return own


def _checked_data(data: str, classifier: Any, role: str, skip_bad: bool) -> Any:
    from genkit.evaluation.real_data import check_data

    spec = check_data(data, tuple(classifier.sample_shape), role, skip_bad)
    assert spec is not None
    return dict(spec)


def _parted(spec: Any, count: int, n: int, seed: int) -> tuple[Any, Any]:
    """Data to train on, and others for the page: a fifth at most; all for both where that would be too few."""
    from genkit.cli.refine_recipe import part
    from genkit.explain.checks import LEAST

    kept = min(int(KEPT * count), 2 * n)
    if kept < 2 * LEAST:
        return spec, spec
    share = kept / count
    click.echo(f"{kept:,} of the {count:,} images are kept for the page, and not trained on")
    return part(spec, share, 1.0, seed), part(spec, 0.0, share, seed)


def _check_decisions(classifier: Any, spec: Any, role: str, n: int, seed: int) -> None:
    """Raises what the search would, after the training: too few images, or all decided alike."""
    import torch

    from genkit.classifiers.fitness import attempt, check_finite
    from genkit.cli.explain_images import LOOKED_AT, chosen
    from genkit.evaluation.real_data import open_data
    from genkit.explain.checks import check_decisions, check_number

    data = open_data(spec, tuple(classifier.sample_shape), role)
    rows = chosen(len(data), n, seed)
    check_number(len(rows))
    with torch.no_grad():
        parts = rows[: len(rows) // 2].split(LOOKED_AT)
        logits = torch.cat([attempt(classifier, data.rows(k).to(classifier.device)) for k in parts])
    check_finite(logits)
    check_decisions(logits)


def _tried_on(classifier: Any, data: Any) -> int:
    """Runs the classifier on a few of the images and back; the temperature at which it is not certain of most.

    Raises:
        WeightsError: it cannot be explained.
    """
    import torch

    from genkit.classifiers.fitness import attempt, check_explicable, check_finite, temperature_for
    from genkit.cli.explain_images import LOOKED_AT

    def some(n: int) -> torch.Tensor:
        return data.rows(torch.linspace(0, len(data) - 1, min(n, len(data))).long()).to(classifier.device)

    check_explicable(classifier, some(LOOKED_AT))
    with torch.no_grad():
        logits = torch.cat([attempt(classifier, x) for x in some(MEASURED).split(LOOKED_AT)])
    check_finite(logits)
    temperature = temperature_for(logits)
    if temperature > 1:
        click.echo(f"the classifier is certain of most images: its logits are divided by {temperature}")
    return temperature


def _reference(asked: GivenClassifier, classifier: Any, out: Path) -> str:
    """The weights that a recipe names: genkit's own, or what is known of others, kept in the run."""
    if not asked.is_code and not asked.weights:
        return lasting(asked.name)
    folder = out / "classifier"
    if is_first_process() and not (out / "recipe.yaml").is_file():
        classifier.save_pretrained(folder)
    return os.path.abspath(folder)


def _kept_classifier(out: Path) -> dict[str, Any]:
    """The configuration that a run keeps of a classifier made elsewhere; empty before it has begun."""
    from genkit.core.pretrained import configuration

    if not (out / "recipe.yaml").is_file() or not (out / "classifier").is_dir():
        return {}
    return dict(configuration(out / "classifier"))


def _check_same(asked: GivenClassifier, classifier: Any, kept: dict[str, Any], out: Path) -> None:
    """Raises RecipeError for options of a classifier that a run was not started with; those left out are the run's."""
    for name, key in KEYS.items():
        if kept and getattr(asked, name) and kept.get(key) != classifier.config[key]:
            raise RecipeError(
                f"{out} was started with another classifier, whose {key} is {shown(kept.get(key))}: leave "
                f"--{name.replace('_', '-')} out, or choose another --out"
            )


def _recipe(
    out: Path,
    spec: Any,
    classifier: Any,
    weights: str,
    temperature: int,
    steps: int | None,
    minutes: int | None,
    seed: int,
) -> Recipe:
    from genkit.cli.styleex_recipe import STEPS, styleex_recipe
    from genkit.training.recipe import Recipe

    kept = _kept(out) if (out / "recipe.yaml").is_file() else None
    known = int(kept["train"]["steps"]) if kept and not steps else steps or STEPS
    tree = styleex_recipe(
        called(out, "styleex"), spec, weights, classifier.sample_shape, classifier.classes, temperature, known, seed
    )
    recipe = Recipe.from_dict(tree)
    if minutes and kept is None:
        tree["train"]["steps"] = _fitting(recipe, minutes)
        recipe = Recipe.from_dict(tree)
    return recipe


def _kept(out: Path) -> dict[str, Any]:
    from genkit.core.documents import Unreadable, read_yaml

    try:
        tree = read_yaml(out / "recipe.yaml")
        int(tree["train"]["steps"])
    except (Unreadable, LookupError, TypeError, ValueError) as damage:
        raise RecipeError(
            f"{out / 'recipe.yaml'} cannot be read, so the run cannot go on; choose another --out"
        ) from damage
    return dict(tree)


def _fitting(recipe: Recipe, minutes: int) -> int:
    """The iterations that fit into so many minutes on this machine."""
    from genkit.cli.dry_run import seconds_per_iteration

    steps = max(1, int(60 * minutes / seconds_per_iteration(recipe)))
    click.echo(f"{steps:,} iterations fit into {minutes} minutes")
    return steps


def _train(recipe: Recipe, out: Path, resume: bool) -> None:
    train_once(recipe, out, resume, f"training {recipe.name} into {out}; the recipe is {out / 'recipe.yaml'}")


def _explain(name: str, images: Any, out: Path, judge: str | None, n: int | None, seed: int) -> None:
    from genkit.cli.explain_images import EXPLANATION, explainer, search
    from genkit.core.processes import process_count

    if not is_first_process() and process_count() == 1:  # training has parted the processes: the first one goes on
        return
    given = {"judge": judge, "n": n, "seed": seed}
    generator = explainer(str(out), name)
    search(generator, images, out / EXPLANATION, name, str(out), {k: v for k, v in given.items() if v is not None})

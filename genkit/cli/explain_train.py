"""genkit explain train: from a classifier and images to the page that explains it, in one command that can go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.computing_options import on_device
from genkit.cli.console import say, warn
from genkit.cli.explaining.labelled import decisions, remark_on_rare, right_on
from genkit.cli.explaining.run import ExplainRun
from genkit.cli.given_classifier import (
    ABOUT_CLASSIFIER,
    GivenClassifier,
    built,
    classifier_options,
    of_weights,
)
from genkit.cli.launch import join_launch
from genkit.cli.own_recipe import called, train_once
from genkit.cli.places import ABOUT_DATA, COUNT, DATA, FOLDER, SEED, WEIGHTS, Input, Writing, skip_bad_option
from genkit.core.display import is_first_process
from genkit.core.errors import BadState, EvaluationError, GenkitError, TrainingError, WeightsError
from genkit.core.interruption import advising

if TYPE_CHECKING:
    from genkit.training.recipe import Recipe

SIZES = (16, 32, 64, 128, 256)
MEASURED = 256
"""Images that tell how certain a classifier is."""


@click.command("explain train", cls=Writing, epilog=f"{ABOUT_CLASSIFIER} {ABOUT_DATA}")
@click.argument("name", type=Input("classifier"), metavar="CLASSIFIER")
@click.argument("data", type=DATA)
@click.option("--out", type=FOLDER, required=True, help="Run folder; the page is in its folder explanation.")
@click.option("--size", type=click.Choice([str(s) for s in SIZES]), help="Side length of the images, of code; 64.")
@click.option("--steps", type=COUNT, help="Iterations of training; 20,000 if not said.")
@click.option("--minutes", type=COUNT, help="In place of --steps: as many as fit, measured before it starts.")
@click.option("--against", type=DATA, help="Images to explain; a part of DATA that is kept back if not said.")
@click.option("--judge", type=WEIGHTS, help="Reads attributes: says what each change is; weights or a spec.")
@click.option("-n", "n", type=COUNT, help="Images searched; 250 if not said.")
@click.option("--balanced", is_flag=True, help="Train on images of each class as often, by their labels.")
@click.option("--seed", type=SEED, help="Of training and choice of images; 0 if not said.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder; start it when there is none.")
@click.option("--dry-run", is_flag=True, help="Check everything, time a few iterations, write nothing.")
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
    balanced: bool,
    seed: int | None,
    resume: bool,
    dry_run: bool,
    skip_bad: bool,
    range_: tuple[float, ...] | None,
    **options: Any,
) -> None:
    """Train a StyleEx with CLASSIFIER on DATA, search what changes its mind, and write the page.

    OUT keeps the classifier and the recipe that it begins with. What was stopped goes on with the same command and
    --resume.
    """
    from genkit.cli.dry_run import describe_run
    from genkit.cli.explaining.page import EXPLANATION, loaded_judge, say_replaced, searched_of
    from genkit.evaluation.real_data import open_data, read_name
    from genkit.training.balanced import balanced_rows

    if steps and minutes:
        raise GenkitError("--steps and --minutes both say how long to train; give one of them")
    searched = searched_of(n)
    run = ExplainRun(out, resume)
    seed, balanced = run.seed if seed is None else seed, balanced or run.balanced
    run.check_asked(seed, steps)
    for role, named in (("DATA", data), ("--against", against)):
        if named:
            read_name(named, role)
    asked = GivenClassifier(name, range=range_, **options)
    own = run.own_weights(asked)
    asked = replace(asked, weights=own) if own else asked
    asked.check()
    asked, size = run.completed(asked, size)
    classifier: Any = of_weights(str(own.parent)) if own else built(asked, _size(asked, size))
    run.check_classifier(classifier)
    shape = tuple(classifier.sample_shape)
    loaded_judge(judge, shape)
    join_launch()
    spec = _checked_data(data, classifier, "DATA", skip_bad)
    opened = open_data(spec, shape, "DATA")
    if balanced:
        balanced_rows(opened)
    taught, explained = run.parts(spec, opened, searched, seed, against is not None)
    temperature = _tried_on(classifier, opened, balanced)
    if against:
        explained = _checked_data(against, classifier, "--against", skip_bad)
    role = "--against" if against else "DATA"
    shown = open_data(explained, shape, role)
    parted = not against and taught is not spec
    _check_decisions(classifier, shown, role, searched, seed, parted)
    if parted:
        say(f"{len(shown):,} of the {len(opened):,} images are kept for the page, and not trained on")
    run.check_place()
    say_replaced(out / EXPLANATION)
    wanted = (taught, classifier, name, run.temperature or temperature, steps, minutes, seed, balanced)
    if dry_run:
        with nullcontext(run.named(name)) if run.recipe else _lent(classifier) as reference:
            run.follow(reference, dry_run)
            say(describe_run(_recipe(run, reference, *wanted)))
        return
    with run.alone():
        run.keep(classifier, shown if parted else None)
        run.follow(run.named(name))
        recipe = _recipe(run, run.named(name), *wanted)
        _train(recipe, out, resume, classifier, opened)
    _explain(name, explained, out, judge, n, seed, recipe.train.steps)


def _size(asked: GivenClassifier, size: str | None) -> int:
    """Side length of the images: that of genkit's own classifiers, else as asked."""
    if asked.elsewhere:
        return int(size or 64)
    own = int(of_weights(asked.name).sample_shape[-1])  # type: ignore[attr-defined]
    if own in SIZES:
        if size and int(size) != own:
            raise GenkitError(f"--size {size}: {asked.name} takes images of {own} pixels; leave it out")
        return own
    made = int(size) if size else min((side for side in SIZES if side > own), default=SIZES[-1])
    say(f"{asked.name} takes images of {own} pixels: those of {made}, which the generator makes, are resized")
    return made


def _checked_data(data: str, classifier: Any, role: str, skip_bad: bool) -> Any:
    from genkit.evaluation.real_data import check_data

    spec = check_data(data, tuple(classifier.sample_shape), role, skip_bad)
    assert spec is not None
    return dict(spec)


def _check_decisions(classifier: Any, data: Any, role: str, n: int, seed: int, parted: bool) -> None:
    """Raises what the search would, after the training: too few images, or all decided alike."""
    from genkit.cli.explaining.page import chosen
    from genkit.explain.checks import check_decisions, check_number

    rows = chosen(len(data), n, seed)
    check_number(len(rows))
    logits = decisions(classifier, data, rows[: len(rows) // 2])
    part = f"{role} that are kept for the page" if parted else role
    what = f"images that are looked at of {part}" if len(rows) < 2 * len(data) else "images"
    try:
        check_decisions(logits, what, classifier.class_names)
    except EvaluationError as alike:
        more = "; --seed keeps others for the page, --against explains others" if parted else ""
        raise EvaluationError(f"{alike}{more}") from alike


def _tried_on(classifier: Any, data: Any, balanced: bool) -> int:
    """Runs the classifier on a few of the images and back, tells how often it is right; the temperature at which it is
    not certain of most.

    Raises:
        WeightsError: it cannot be explained.
    """
    import torch

    from genkit.classifiers.fitness import check_explicable, like_probabilities, refuse_probabilities, temperature_for
    from genkit.cli.explaining.page import LOOKED_AT

    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:MEASURED]
    logits = decisions(classifier, data, rows)
    check_explicable(classifier, data.rows(rows[:LOOKED_AT]).to(classifier.device))
    refuse_probabilities(logits)
    warn([*like_probabilities(logits)])
    if right := right_on(logits, classifier.class_names, data, rows):
        if right.remark:
            warn([right.remark])
        else:
            say(right.line)
        rare = remark_on_rare(logits, classifier.class_names, right.met)
        if rare and not balanced:
            warn([rare])
    temperature = temperature_for(logits)
    if temperature > 1:
        say(f"the classifier is certain of most images: its logits are divided by {temperature:,}")
    return temperature


@contextmanager
def _lent(classifier: Any) -> Iterator[str]:
    """A folder with the classifier, for a recipe that nothing is written of."""
    with TemporaryDirectory() as folder:
        classifier.save_pretrained(folder)
        yield folder


def _recipe(
    run: ExplainRun,
    weights: str,
    spec: Any,
    classifier: Any,
    name: str,
    temperature: float,
    steps: int | None,
    minutes: int | None,
    seed: int,
    balanced: bool,
) -> Recipe:
    """The recipe of the run; raises CheckpointError where a run that has begun cannot go on with it."""
    from genkit.cli.explaining.recipe import STEPS, styleex_recipe
    from genkit.training.recipe import Recipe

    known = int(run.recipe["train"]["steps"]) if run.recipe and not steps else steps or STEPS
    tree = styleex_recipe(
        run.recipe.get("name") or called(run.out, "styleex"),
        spec,
        name,
        weights,
        classifier.sample_shape,
        classifier.classes,
        temperature,
        known,
        seed,
        balanced,
    )
    recipe = Recipe.from_dict(tree)
    if minutes and run.recipe:
        say(f"the run has its length, {known:,} iterations: --minutes is of its beginning, --steps makes it longer")
    elif minutes:
        tree["train"]["steps"] = _fitting(recipe, minutes)
        recipe = Recipe.from_dict(tree)
    if run.recipe:
        run.check_recipe(recipe)
    return recipe


def _fitting(recipe: Recipe, minutes: int) -> int:
    """The iterations that fit into so many minutes on this machine."""
    from genkit.cli.dry_run import seconds_per_iteration

    steps = max(1, int(60 * minutes / seconds_per_iteration(recipe)))
    say(f"{steps:,} iterations fit into {minutes} minutes")
    return steps


def _train(recipe: Recipe, out: Path, resume: bool, classifier: Any, images: Any) -> None:
    """Raises TrainingError, or WeightsError where that was for an image of which the classifier says no number."""
    line = f"training {recipe.name} into {out}; the recipe is {out / 'recipe.yaml'}"
    try:
        train_once(recipe, out, resume, line)
    except TrainingError as fault:
        why = fault.__cause__.why if isinstance(fault.__cause__, BadState) else str(fault)
        _check_all(classifier, images)
        if "agreement nan" in why and "reconstruction nan" not in why:
            raise WeightsError(
                "the classifier gives numbers that are not finite for an image that the generator made, so nothing can "
                "be trained with it: mend it for all images, whether they look like yours or not"
            ) from fault
        raise TrainingError(f"{why.partition(';')[0]}; begin again with another --seed and another --out") from fault


def _check_all(classifier: Any, images: Any) -> None:
    """Raises WeightsError for an image of which the classifier says no finite number, by its name."""
    import torch

    for rows in torch.arange(len(images)).split(MEASURED):
        decisions(classifier, images, rows)


def _explain(name: str, images: Any, out: Path, judge: str | None, n: int | None, seed: int, steps: int) -> None:
    from genkit.cli.explaining.page import EXPLANATION, explainer, search
    from genkit.core.processes import process_count
    from genkit.explain.checks import Untrained

    if not is_first_process() and process_count() == 1:  # training has parted the processes: the first one goes on
        return
    given = {"judge": judge, "n": n, "seed": seed}
    generator = explainer(str(out), name)
    told = {key: value for key, value in given.items() if value is not None}
    try:
        with advising("go on with --resume: what is trained stays, and the search goes on"):
            search(generator, images, out / EXPLANATION, name, str(out), told)
    except Untrained as short:
        more = f"the same command with --resume --steps {2 * steps} goes on from here"
        raise Untrained(f"{short}; {more}") from short

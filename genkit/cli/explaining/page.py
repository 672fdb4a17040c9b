"""genkit explain of a classifier: the page of many images, what would change one, and animations."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from genkit.cli.console import display, heading, progress, say, table, warn
from genkit.cli.given_classifier import of_weights
from genkit.cli.launch import crew_of_launch, join_launch
from genkit.cli.own_module import imported, is_source, refuse_file
from genkit.cli.places import loaded, made
from genkit.cli.taught import known_to
from genkit.core.display import is_first_process
from genkit.core.documents import is_spec
from genkit.core.errors import GenkitError, WeightsError, kind_of
from genkit.core.interruption import advising

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genkit.data.dataset import DataSet
    from genkit.explain.explanation import Explanation

SEARCHED, LOOKED_AT = 250, 16
"""Images that are searched, and those that a classifier is tried on, forwards and back."""
EXPLANATION = "explanation"
"""Folder of a run with the page about it."""
SHARED = 0.05
"""Share of the images that the StyleEx may have been trained on."""


def explain(subject: str, images: str | None, given: Mapping[str, Any]) -> None:
    """Does what the checked options ask for."""
    from genkit.cli.explaining.one import draw_attribute, explain_one

    join_launch()
    by = given.get("by", subject)
    generator = explainer(by, subject)
    if "to" not in given:
        _check_page(given["out"], generator)
        search(generator, str(images), given["out"], subject, by, given)
        return
    found = _kept(given.get("found"), subject, by)
    if found.range:
        found.range_for(generator)
    if "attribute" in given:
        draw_attribute(generator, found, images, given)
    else:
        explain_one(generator, found, Path(str(images)), given)


def explainer(by: str, subject: str) -> Any:
    """The StyleEx of `by`, with the classifier that was given bound or compared to its own.

    Raises:
        GenkitError: it is none, or of another classifier.
    """
    from genkit.core.pretrained import Pretrained

    if Path(by).is_file():
        refuse_file(Path(by))
    if by == subject and (is_source(by) or ":" in by):
        raise GenkitError(f"say which StyleEx explains {by} with --by RUN; 'genkit explain train {by} DATA' makes one")
    generator = loaded(Pretrained, by)
    if not hasattr(generator, "attribute_layers"):
        kind = type(generator).__name__
        advice = "say which StyleEx explains it with --by" if by == subject else "a StyleEx explains a classifier"
        raise WeightsError(f"{by} holds a {kind}; {advice}, which 'genkit explain train' makes")
    _bind(generator.classifier, subject, by)
    return generator


def _check_page(out: Path, generator: nn.Module) -> None:
    """Raises GenkitError for a folder with the page of another StyleEx; says that one of this is replaced."""
    from genkit.core.documents import read_mapping
    from genkit.core.fingerprint import weights_fingerprint

    own = read_mapping(out / f"{EXPLANATION}.json").get("generator")
    if own and own != weights_fingerprint(generator):
        raise GenkitError(f"{out} holds the page of another StyleEx, or of other weights of it; choose another --out")
    say_replaced(out)


def say_replaced(out: Path) -> None:
    """Says so where there is a page already."""
    if (out / f"{EXPLANATION}.json").is_file():
        say(f"the page in {out} will be replaced")


def _bind(classifier: Any, subject: str, by: str) -> None:
    from genkit.classifiers.library_classifier import is_architecture
    from genkit.classifiers.own_classifier import OwnClassifier, bind, bound
    from genkit.core.fingerprint import weights_fingerprint

    library = is_architecture(subject)
    if isinstance(classifier, OwnClassifier) and (library or not (is_source(subject) or subject == by)):
        raise WeightsError(f"{by} explains {classifier.source}, and not {subject}; give that one")
    if isinstance(classifier, OwnClassifier):
        if is_source(subject):
            given = bind(classifier.source, imported(subject))
            if subject != classifier.source and given != classifier.weights:
                raise WeightsError(
                    f"{by} explains {classifier.source}, and not {subject}; train one for it with genkit explain train"
                )
        bound(classifier.source, classifier.weights)
        return
    if subject == by or subject == getattr(classifier, "architecture", None):
        return
    own = {weights_fingerprint(of) for of in (classifier, getattr(classifier, "classifier", classifier))}
    if library or is_source(subject) or weights_fingerprint(cast("nn.Module", of_weights(subject))) not in own:
        raise WeightsError(
            f"{by} explains another classifier than {subject}; train one for it with genkit explain train"
        )


def searched_of(n: int | None) -> int:
    """The number of images that are searched; raises GenkitError for too few."""
    from genkit.explain.checks import LEAST

    if n is not None and n < LEAST:
        raise GenkitError(f"-n {n}: at least {LEAST} images are searched")
    return n or SEARCHED


def chosen(count: int, n: int, seed: int) -> Tensor:
    """The rows of `count` images that a page is of: n are searched at most, as many others show what was found."""
    import torch

    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: 2 * n]


def search(generator: Any, images: Any, out: Path, subject: str, by: str, given: Mapping[str, Any]) -> None:
    """Searches attributes and writes page, sheets and explanation.json into `out`."""
    from genkit.classifiers.fitness import check_explicable, like_probabilities, refuse_probabilities
    from genkit.cli.explaining.choice import chosen_by, critic_beside
    from genkit.cli.explaining.labelled import decisions, right_on
    from genkit.evaluation.real_data import open_data
    from genkit.explain.checks import beyond
    from genkit.explain.explainable import class_names
    from genkit.explain.explaining import SearchSettings
    from genkit.explain.explaining import explain as found_by

    crew_of_launch()  # its processes share the search
    n, seed = searched_of(given.get("n")), given.get("seed", 0)
    data = open_data(images, tuple(generator.sample_shape), "IMAGES", given.get("skip_bad", False))
    judge: Any = loaded_judge(given.get("judge"), generator.sample_shape)
    critic = critic_beside(by, generator.device) if "realistic" in given else None
    rows = chosen(len(data), n, seed)
    if len(rows):
        check_explicable(generator.classifier, data.rows(rows[:LOOKED_AT]).to(generator.device))
    said = decisions(generator.classifier, data, rows)
    refuse_probabilities(said)
    right = right_on(said, class_names(generator, said.shape[1]), data, rows)
    with advising("the same command goes on with the search"), display() as shown:
        explanation = found_by(
            generator,
            data.rows(rows),
            SearchSettings(
                searched=n,
                seed=seed,
                colours="without_colours" not in given,
                **chosen_by(given.get("selection", "paper")),
            ),
            progress(shown, "searching", "pass") if is_first_process() else None,
            judge=judge,
            critic=critic,
            data={"name": data.name, **(right.to_json() if right else {})},
            folder=out / "search",
        )
    if not is_first_process():
        return
    reasons = [*explanation.checks.reasons, *beyond(generator, data.classes), *like_probabilities(said)]
    reasons += _taught(by, data.taken(data.name, rows))
    explanation = replace(explanation, checks=replace(explanation.checks, reasons=reasons))
    for line in data.remarks():
        click.echo(line)
    if given.get("n") and (half := len(rows) // 2) < n:
        warn([f"{data.name} has {len(data):,} images: {half:,} are searched, not {n:,}, as others show what was found"])
    warn(explanation.checks.reasons)
    write_explanation(out, explanation, subject, by, judge, getattr(generator, "temperature", 1))


def _taught(by: str, searched: DataSet) -> Iterator[str]:
    """A reason not to trust an explanation by the very images that the StyleEx was trained on."""
    found = known_to(by, searched) or 0
    if found > SHARED * len(searched):
        yield (
            f"the StyleEx was trained on at least {found:,} of these {len(searched):,} images: reconstructions and "
            "agreement of images that it has not seen are worse; give others"
        )


def write_explanation(
    out: Path, explanation: Explanation, subject: str, by: str, judge: Any = None, temperature: float = 1
) -> None:
    """explanation.json with its tensors, the sheets, and the page last."""
    from genkit.cli.explain import PAGE
    from genkit.core.columns.labels import Labels
    from genkit.explain.explanation_page import About, write_page
    from genkit.explain.sheet import write_sheets

    explanation.save(out)
    sheets = write_sheets(out, explanation)
    columns = judge.conditions.items() if judge is not None else ()
    about = About(
        subject,
        (("classifier", subject), ("generator", by), ("temperature", f"{temperature:g}")),
        softened(temperature),
        categories=frozenset(name for name, column in columns if isinstance(column, Labels)),
        goes_on=goes_on(by),
    )
    write_page(out / PAGE, explanation, about)
    click.echo(heading(f"{subject}: look at"))
    rows = [("page", str(out / PAGE)), *(("sheet", str(path)) for path in sheets)]
    click.echo(table([*rows, ("numbers", str(out / "explanation.json"))], indent="  "))


def goes_on(by: str) -> str:
    """Options of `genkit explain train` with which the run `by` goes on; empty where there is none that can."""
    from genkit.cli.explaining.begun import CLASSIFIER, EXPLAINED, kept_back, recipe_in

    at = Path(by)
    runs = [at, *(weights.parent for weights in (at, at.resolve()) if weights.name == "weights")]
    run = next((run for run in runs if (run / CLASSIFIER / EXPLAINED).is_file()), None)
    if run is None:
        return ""
    try:
        data = recipe_in(run)["data"]
    except GenkitError:
        return ""
    return f"--out {shlex.quote(str(run))} --resume{'' if kept_back(run, data) else ' --against IMAGES'}"


def softened(temperature: float) -> str:
    """A note on the page of a classifier that is explained at another temperature than its own."""
    if temperature == 1:
        return ""
    return (
        f"Left to itself it is nearly certain of most images. Here its logits are divided by {temperature:g} (its "
        "temperature), so that probabilities say how clearly an image is of a class; no decision changes by that."
    )


def loaded_judge(weights: str | None, shape: Sequence[int]) -> Any:
    """A judge of attributes of images (C, H, W), from weights or a spec.

    Raises:
        WeightsError, GenkitError: it is none, or of other images.
    """
    from genkit.core.pretrained import Pretrained
    from genkit.images.property_changes import AttributeJudge

    if weights is None:
        return None
    judge: Any = made(AttributeJudge, weights, "--judge") if is_spec(weights) else loaded(Pretrained, weights)
    if not hasattr(judge, "predict") or not hasattr(judge, "conditions"):
        raise WeightsError(f"--judge {weights} holds {kind_of(judge)}, which reads no attributes of images")
    if tuple(judge.sample_shape) != tuple(shape):
        read, given = (" x ".join(map(str, each)) for each in (judge.sample_shape, shape))
        raise WeightsError(f"--judge {weights} reads images of {read}, and these are of {given}")
    return judge


def _kept(found: str | None, subject: str, by: str) -> Explanation:
    """The explanation in a folder, or beside a run."""
    from genkit.explain.explanation import JSON, Explanation

    folder = Path(found or by)
    folder = folder if (folder / JSON).is_file() else folder / EXPLANATION
    if not (folder / JSON).is_file():
        make = f"genkit explain {subject} IMAGES --out FOLDER" + ("" if subject == by else f" --by {by}")
        raise GenkitError(
            f"{found or by} holds no explanation; make one with '{make}', and name its folder with --found"
        )
    return Explanation.load(folder)

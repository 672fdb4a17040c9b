"""A request of `genkit refine`, checked before time is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genkit.cli.refine_recipe import TRAINED, ratio_spec
from genkit.cli.taught import known_to
from genkit.core.columns.labels import plain
from genkit.core.errors import ConditionError, GenkitError, shown

if TYPE_CHECKING:
    from genkit.core.generator import Generator
    from genkit.posthoc.rejection.density_ratio import DensityRatio

OPTIONS = {"rate": "--rate", "percentile": "--percentile", "gamma": "--gamma", "samples": "--burn-in"}
OPTIONS |= {"steps": "--chain", "step_size": "--step-size"}
"""Settings of the samplers."""
GRADIENT = ("ddls", "dot")
"""Samplers that need one."""


@dataclass(frozen=True)
class Refinement:
    """A checked request.

    Attributes:
        changed: whether `generator` samples otherwise than `weights` do.
        looks: real samples by which the best checkpoint of a ratio that is trained is chosen.
        held_out: others, to calibrate and judge on.
    """

    weights: str
    generator: Generator
    changed: bool
    kind: str
    features: str | None
    data: Mapping[str, Any]
    looks: Mapping[str, Any]
    held_out: Mapping[str, Any]
    sampler: str
    settings: Mapping[str, Any]
    out: Path
    seed: int

    @property
    def of_its_critic(self) -> bool:
        """Whether the ratio is read off the critic that WEIGHTS were trained against."""
        return self.kind != "fresh" and not self.features


def checked(asked: Refinement) -> DensityRatio:
    """The ratio before training; refuses settings that the sampler has no use for, a generator it cannot move, and data
    that do not fit or are too few."""
    import torch

    from genkit.core.catalog import build
    from genkit.core.randomness import Rows
    from genkit.evaluation.real_data import open_data
    from genkit.posthoc.rejection.fitting import check_judges, sampler_over

    shape = tuple(asked.generator.sample_shape)
    try:
        asked.generator.conditions.resolve(None, 1, Rows(1, torch.Generator()))
    except ConditionError as undrawn:
        raise GenkitError(f"{asked.weights}: {undrawn}, and refine draws conditions itself") from undrawn
    for spec, role in ((asked.data, "--data"), (asked.held_out, "--held-out"), (asked.looks, "--held-out")):
        if spec is asked.looks and asked.kind not in TRAINED:
            continue
        items = open_data(spec, shape, role)
        check_conditions(asked.generator, items, role)
        if role == "--held-out":
            check_judges(items)
    ratio: DensityRatio = build(
        ratio_spec(asked.weights, asked.kind, asked.generator, asked.features),
        where="--features" if asked.features else "--ratio",
    )
    _check_classes(asked.generator, ratio)
    if asked.kind == "isotonic" and asked.sampler in GRADIENT:
        raise GenkitError(
            f"--sampler {asked.sampler} follows the gradient of the ratio, and --ratio isotonic has none; take platt"
        )
    sampler_over(asked.generator, ratio, asked.sampler, **asked.settings, options=OPTIONS)
    return ratio.to(asked.generator.device)


def check_conditions(generator: Generator, data: Any, role: str) -> None:
    """Raises GenkitError, beginning with `role`, for data without a condition that the generator is asked for, with
    another, or with classes of other names: samples of some classes would be held against images of others."""
    if misfit := generator.conditions.misfit(data.conditions, generator.made):
        raise GenkitError(f"{role}: {data.name}: the generator {misfit}")
    names = zip(generator.conditions.class_names, data.conditions.class_names, strict=False)
    for k, (mine, theirs) in enumerate(names):
        if plain(mine) != plain(theirs):
            raise GenkitError(
                f"{role}: {data.name}: class {k} is called {shown(theirs)}, and the generator's {shown(mine)}; give "
                "data of its classes in their order, or rename them, such as their folders"
            )


def _check_classes(generator: Generator, ratio: DensityRatio) -> None:
    """Raises GenkitError for a critic of samples of a class, of a generator whose samples may be of any."""
    from genkit.posthoc.rejection.density_ratio import classes_judged

    label, classes = generator.conditions.get("label"), classes_judged(ratio)
    if label is not None and label.free and classes:
        raise GenkitError(
            f"the critic judges samples of one of {classes} classes, and the generator may be left to choose one: take "
            "--ratio fresh"
        )


class SeenBefore(NamedTuple):
    """Numbers of the samples that a ratio is judged on which it has met before.

    Attributes:
        by_critic: in the training of the critic that it is read off; None where that is not known.
        by_ratio: in its own training.
    """

    by_critic: int | None
    by_ratio: int


def seen_before(asked: Refinement, own: bool) -> SeenBefore:
    """See `SeenBefore`.

    Args:
        own: whether they are a part of --data, which the ratio does not learn from.
    """
    from genkit.evaluation.real_data import open_data
    from genkit.training.data_record import shared_rows

    shape = tuple(asked.generator.sample_shape)
    judged = open_data(asked.held_out, shape, "--held-out")
    known = known_to(asked.weights, judged) if asked.of_its_critic else 0
    trained = asked.kind in TRAINED and not own
    return SeenBefore(known, shared_rows(judged, open_data(asked.data, shape, "--data")) if trained else 0)


def leak(asked: Refinement, seen: SeenBefore, own: bool) -> Iterator[str]:
    """Warnings where the ratio is judged on samples that it has met before; arguments as of `seen_before`."""
    better = "it seems better than it is; give --held-out of others, such as a test split"
    if seen.by_ratio:
        yield f"{seen.by_ratio:,} of the samples that the ratio is judged on are among --data, so that {better}"
    if seen.by_critic:
        yield f"the critic was trained on {seen.by_critic:,} samples that its ratio is judged on, so that {better}"
    elif seen.by_critic is None and own:
        yield (
            f"it is not known whether the critic of {asked.weights} was trained on the part of --data that its ratio "
            f"is judged on; if it was, {better}"
        )

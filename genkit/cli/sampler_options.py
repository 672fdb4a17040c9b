"""Options of sampling that only some generators take: number of steps, choice of samples, guidance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import warn
from genkit.cli.places import WEIGHTS
from genkit.core.errors import GenkitError, kind_of, shown

if TYPE_CHECKING:
    from genkit.core.generator import Generator
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.diffusion.upsampler import Cascade
    from genkit.posthoc.rejection.sampler import RatioSampler
    from genkit.vae.energy.vaebm import VAEBM

SAMPLERS = ("rejection", "mh", "ddls", "dot")
SPACED = ("ancestral", "ddim")
"""Solvers whose steps may be told apart."""
SOLVERS = (*SPACED, "dpm_solver", "unipc")


class Number(click.FloatRange):
    """A finite number in a range; nan and infinity are refused.

    Args:
        usual: one that changes something, where a slider starts.
    """

    def __init__(self, low: float, high: float, usual: float = 1.0, min_open: bool = False, max_open: bool = False):
        super().__init__(low, high, min_open=min_open, max_open=max_open)
        self.usual = usual

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = float(click.FLOAT.convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not finite", param, ctx)
        return float(super().convert(number, param, ctx))


class Truncation(Number):
    """A number from -2 to 2, or one for each of some slices by name."""

    def __init__(self) -> None:
        super().__init__(-2, 2, usual=0.7)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or "=" not in value:
            return super().convert(value, param, ctx)
        parts = [part.partition("=") for part in value.split(",")]
        twice = [name for name, times in Counter(name for name, *_ in parts).items() if times > 1]
        if twice:
            self.fail(f"{twice[0]!r} is given twice", param, ctx)
        return {name: super(Truncation, self).convert(psi, param, ctx) for name, _, psi in parts}


OPTIONS: dict[str, dict[str, Any]] = {
    "--solver": {"type": click.Choice(SOLVERS), "help": "Solver of the diffusion."},
    "--rate": {
        "type": Number(0, 1, usual=0.2, min_open=True, max_open=True),
        "help": "Refined weights: share of the samples that is kept.",
    },
    "--sampler": {"type": click.Choice(SAMPLERS), "help": "Refined weights: what uses their ratio."},
    "--steps": {
        "help": "Steps a sample, e.g. 50: more are slower and finer; ancestral and ddim also take ddim50 or 10,15,20. "
        "VAEBM, mh, ddls, dot: length of chains.",
    },
    "--classifier": {"type": WEIGHTS, "help": "Noisy classifier that guides towards the label."},
    "--scale": {
        "type": Number(0, 1000, usual=2),
        "help": "Guidance towards the label, e.g. 2: more is clearer and less varied; by --classifier or without one.",
    },
    "--candidates": {
        "type": click.IntRange(1, 10_000),
        "help": "VAEBM: candidates for each start; one is drawn by energy.",
    },
    "--truncation": {
        "type": Truncation(),
        "help": "StyleGAN2: psi; 1 is none, 0.7 less variety and fewer faults. Of slices: hue=0.5,size=0.7.",
    },
}


def sampler_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of this file to a command."""
    for name, settings in reversed(OPTIONS.items()):
        command = click.option(name, **settings)(command)
    return command


def configured(generator: Generator, given: dict[str, Any], steps: str = "--steps") -> Generator:
    """`generator` with its sampler exchanged and guided, as far as options were given.

    Args:
        steps: the option that a command has for them, for messages.

    Raises:
        GenkitError: an option for a generator that has no use for it.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    if not asked:
        return generator
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.diffusion.upsampler import Cascade
    from genkit.posthoc.rejection.sampler import RatioSampler
    from genkit.vae.energy.vaebm import VAEBM

    if isinstance(generator, RatioSampler):
        return _resampled(generator, asked)
    if refined := [name for name in ("sampler", "rate") if name in asked]:
        raise GenkitError(f"--{refined[0]} is for weights with a ratio of densities: make them by genkit refine")
    if "truncation" in asked:
        return _truncated(generator, **asked)
    if isinstance(generator, VAEBM):
        return _configured_chains(generator, asked, steps)
    if "candidates" in asked:
        raise GenkitError(f"--candidates is for a VAEBM; this is {kind_of(generator)}")
    if isinstance(generator, Cascade):
        return _configured_cascade(generator, asked, steps)
    if not isinstance(generator, DiffusionGenerator):
        first = next(iter(asked))
        option = steps if first == "steps" else f"--{first}"
        raise GenkitError(f"{option} is for diffusion models; this is {kind_of(generator)}")
    _set_solver(generator, asked.get("solver"), asked.get("steps"), steps)
    return _named_as(generator, _guided(generator, asked.get("classifier"), asked.get("scale")))


def _resampled(generator: RatioSampler, asked: dict[str, Any]) -> Generator:
    """Another sampler over the same ratio."""
    from genkit.posthoc.rejection.fitting import resampled

    for name in asked:
        if name not in ("sampler", "rate", "steps"):
            raise GenkitError(f"--{name} is not for {kind_of(generator)}, which takes --sampler, --rate, --steps")
    steps = asked.get("steps")
    if steps is not None and (not steps.isdecimal() or len(steps) > 6):
        raise GenkitError(f"--steps: of a chain, a whole number up to 999,999, got {shown(steps)}")
    own = {"sampler": generator.kind, "rate": getattr(getattr(generator, "shift", None), "rate", None)}
    if all(own.get(name) == value for name, value in asked.items()):
        return generator
    kind = asked.get("sampler") or ("rejection" if "rate" in asked else generator.kind)
    settings: Any = {"rate": asked.get("rate"), "steps": steps and int(steps)}
    made = resampled(generator, kind, **settings, options={"rate": "--rate", "steps": "--steps"})
    return _named_as(generator, made)  # type: ignore[no-any-return]


def _truncated(generator: Generator, truncation: float | dict[str, float], **others: Any) -> Generator:
    from genkit.gan.control.controlled import Controlled
    from genkit.gan.gan import GAN
    from genkit.gan.stylegan2.truncated import Truncated
    from genkit.posthoc.directions.directions import Directions
    from genkit.posthoc.directions.edited import Edited

    if isinstance(generator, (Edited, Directions)):
        before: Any = _truncated(generator.generator, truncation, **others)
        return _named_as(generator, generator.of(before))  # type: ignore[no-any-return]
    if isinstance(generator, Controlled) and not others:
        try:
            return generator.with_psi(truncation)
        except GenkitError as misfit:
            raise GenkitError(f"--truncation: {str(misfit).removeprefix('psi: ')}") from misfit
    whole = generator.generator if isinstance(generator, Truncated) else generator
    if not isinstance(whole, GAN):
        raise GenkitError(f"--truncation is for GANs with styles; this is {kind_of(generator)}")
    if others:
        raise GenkitError(f"--{next(iter(others))} is not for GANs; leave it out")
    layers = generator.layers if isinstance(generator, Truncated) else None
    try:
        made = Truncated(whole, truncation, layers)
    except GenkitError as misfit:
        raise GenkitError(f"--truncation: {misfit}") from misfit
    return _named_as(generator, made.to(generator.device))  # type: ignore[no-any-return]


def slices_of(generator: Generator) -> tuple[str, ...]:
    """Slices of w that --truncation may name; none of a generator that has none."""
    from genkit.core.styled import named_slices
    from genkit.gan.control.controlled import Controlled
    from genkit.gan.stylegan2.truncated import Truncated

    whole = generator.generator if isinstance(generator, (Controlled, Truncated)) else generator
    return tuple(named_slices(getattr(whole, "network", None)))


def _configured_chains(vaebm: VAEBM, asked: dict[str, Any], option: str) -> VAEBM:
    for name in asked:
        if name not in ("steps", "candidates"):
            raise GenkitError(f"--{name} is for diffusion models; a VAEBM takes {option} and --candidates")
    if "candidates" in asked:
        vaebm.candidates = asked["candidates"]
    if (steps := asked.get("steps")) is not None:
        if not steps.isdecimal():
            raise GenkitError(f"{option}: Langevin steps are a whole number, 0 for none, got {shown(steps)}")
        if len(steps) > 6:
            raise GenkitError(f"{option}: at most 999,999 Langevin steps, got {shown(steps)}")
        vaebm.langevin = _chains_of(vaebm, int(steps), option)
    return vaebm


def _chains_of(vaebm: VAEBM, steps: int, option: str) -> Any:
    from genkit.core.catalog import build

    if steps and not vaebm.langevin:
        raise GenkitError(
            f"{option}: these weights were saved without Langevin dynamics, so that its step size is unknown"
        )
    return build({**vaebm.langevin.config, "steps": steps}, kind="vae") if steps and vaebm.langevin else None


def _named_as(generator: Generator, made: Any) -> Any:
    """`made` with the class names of `generator`, which only the outermost of several has."""
    if generator.class_names:
        made.class_names = generator.class_names
    return made


def _configured_cascade(cascade: Cascade, asked: dict[str, Any], steps: str) -> Cascade:
    """Solver and steps are for both stages, as far as the base is a diffusion model; guidance for the base, as in the
    paper."""
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.diffusion.upsampler import Cascade

    _set_solver(cascade.upsampler, asked.get("solver"), asked.get("steps"), steps)
    diffuses = isinstance(cascade.base, (DiffusionGenerator, Cascade))
    of_base = {name: value for name, value in asked.items() if diffuses or name not in ("solver", "steps")}
    return _named_as(cascade, Cascade(configured(cascade.base, of_base, steps), cascade.upsampler))  # type: ignore[no-any-return]


def _set_solver(generator: DiffusionGenerator, solver: str | None, steps: str | None, option: str) -> None:
    if solver is None and steps is None:
        return
    from genkit.core.catalog import build

    now = generator.solver.config
    spec = dict(now) if solver in (None, now["type"]) else {"type": solver}
    if steps is not None and not steps.isdecimal() and spec["type"] not in SPACED:
        raise GenkitError(
            f"{option}: {spec['type']} takes a number of evaluations, got {shown(steps)}; --solver ddim or ancestral "
            "takes such a list"
        )
    try:
        generator.solver = build(spec | ({} if steps is None else {"steps": steps}), kind="diffusion")
        generator.solver.check(generator.process)
    except GenkitError as refused:
        raise GenkitError(f"{option if steps else '--solver'}: {refused}") from refused


def _guided(generator: DiffusionGenerator, classifier: str | None, scale: float | None) -> DiffusionGenerator:
    if classifier is not None:
        from genkit.core.catalog import build

        spec = {"type": "classifier_guided", "generator": generator, "classifier": {"weights": classifier}}
        if generator.solver.config["type"] == "ddim":
            warn(
                ["DDIM does not clip images that a classifier guides, as published: if blots come, take --solver unipc"]
            )
        made = build(spec | ({} if scale is None else {"scale": scale}))
        return made.to(generator.device)  # type: ignore[no-any-return]
    return generator if scale is None else _scaled(generator, scale)


def _scaled(generator: DiffusionGenerator, scale: float) -> DiffusionGenerator:
    """A guided model's scale is replaced; any other is guided without a classifier."""
    from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
    from genkit.diffusion.classifier_guidance import ClassifierGuided

    if isinstance(generator, ClassifierGuided):
        return ClassifierGuided(generator.generator, generator.classifier, scale, generator.at)
    return ClassifierFreeGuided(getattr(generator, "generator", generator), scale)

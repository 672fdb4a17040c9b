"""Options of genkit sample that only diffusion models take: solver, number of steps, guidance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.numbers import Number
from genkit.cli.places import WEIGHTS
from genkit.core.errors import GenkitError

if TYPE_CHECKING:
    from genkit.core.generator import Generator
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.diffusion.upsampler import Cascade

SOLVERS = ("ancestral", "ddim", "dpm_solver", "unipc")


def diffusion_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of this file to a command."""
    for option in (
        click.option("--scale", type=Number(0, 1000), help="Guidance; without --classifier classifier-free."),
        click.option("--classifier", type=WEIGHTS, help="Noisy classifier that guides towards the label."),
        click.option("--steps", help="Network evaluations, e.g. 50; ancestral and ddim also take ddim50 or 10,15,20."),
        click.option("--solver", type=click.Choice(SOLVERS), help="Way from noise to images."),
    ):
        command = option(command)
    return command


def configured(generator: Generator, given: dict[str, Any]) -> Generator:
    """`generator` with its solver exchanged and guided, as far as options were given.

    Raises:
        GenkitError: an option for a generator that has no use for it.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    if not asked:
        return generator
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.diffusion.upsampler import Cascade

    if isinstance(generator, Cascade):
        return _configured_cascade(generator, asked)
    if not isinstance(generator, DiffusionGenerator):
        raise GenkitError(f"--{next(iter(asked))} is for diffusion models; this is a {type(generator).__name__}")
    _set_solver(generator, asked.get("solver"), asked.get("steps"))
    return _named_as(generator, _guided(generator, asked.get("classifier"), asked.get("scale")))


def _named_as(generator: Generator, made: Any) -> Any:
    """`made` with the class names of `generator`, which only the outermost of several has."""
    if generator.class_names:
        made.class_names = generator.class_names
    return made


def _configured_cascade(cascade: Cascade, asked: dict[str, Any]) -> Cascade:
    """Solver and steps are for both stages, as far as the base is a diffusion model; guidance for the base, as in the
    paper."""
    from genkit.diffusion.diffusion_generator import DiffusionGenerator
    from genkit.diffusion.upsampler import Cascade

    _set_solver(cascade.upsampler, asked.get("solver"), asked.get("steps"))
    diffuses = isinstance(cascade.base, (DiffusionGenerator, Cascade))
    of_base = {name: value for name, value in asked.items() if diffuses or name not in ("solver", "steps")}
    return _named_as(cascade, Cascade(configured(cascade.base, of_base), cascade.upsampler))  # type: ignore[no-any-return]


def _set_solver(generator: DiffusionGenerator, solver: str | None, steps: str | None) -> None:
    if solver is None and steps is None:
        return
    from genkit.core.catalog import build

    now = generator.solver.config
    spec = dict(now) if solver in (None, now["type"]) else {"type": solver}
    generator.solver = build(spec | ({} if steps is None else {"steps": steps}), kind="diffusion")
    generator.solver.check(generator.process)


def _guided(generator: DiffusionGenerator, classifier: str | None, scale: float | None) -> DiffusionGenerator:
    if classifier is not None:
        from genkit.core.catalog import build

        spec = {"type": "classifier_guided", "generator": generator, "classifier": {"weights": classifier}}
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

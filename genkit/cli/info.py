"""genkit info: type, arguments, training and scores of anything that has a name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genkit.cli.console import heading, table
from genkit.cli.info_words import described
from genkit.cli.subject import Subject, find_subject, load_recipe, read_values
from genkit.core import catalog
from genkit.core.columns.labels import numbered
from genkit.core.conversion import shared_of
from genkit.core.papers import short
from genkit.core.table import lookup

if TYPE_CHECKING:
    from genkit.core.columns.column import Column
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder
    from genkit.training.staged import StagedRecipe

SECTIONS = ("recipe", "train", "every", "evaluate", "rollback", "optimizers")
"""Of a recipe, whose keys are described."""


@click.command("info")
@click.argument("subject", metavar="X")
def command(subject: str) -> None:
    """Describe X: a recipe, weights, a run, a name from `genkit list`, or a section of recipes.

    Sections are recipe, train, every, evaluate, rollback and optimizers: their keys, with defaults.
    """
    if subject in SECTIONS:
        _section(subject)
        return
    found = find_subject(subject)
    sections = {"run": _run, "weights": _weights, "recipe": _recipe, "name": _name}[found.kind](found)
    for title, rows in (*sections, ("papers", [(short(key),) for key in found.papers])):
        if rows:
            click.echo(heading(title))
            click.echo(table(rows, indent="  "))


Section = tuple[str, list[Any]]


def _section(name: str) -> None:
    from genkit.cli.recipe_keys import keys

    click.echo(heading(f"{name}: keys of a recipe" if name != "recipe" else "keys of a recipe"))
    click.echo(table([[key.name, key.accepted, key.default, key.about] for key in keys(name)], indent="  "))


def _recipe(found: Subject) -> list[Section]:
    from genkit.training.recipe import Recipe

    recipe = load_recipe(found.path or Path(found.name))
    about = [(recipe.description,)] if recipe.description else []
    title = f"recipe {recipe.name} ({found.path})"
    return [(title, about), *(_training(recipe) if isinstance(recipe, Recipe) else _stages(recipe))]


def _stages(recipe: StagedRecipe) -> Iterator[Section]:
    from genkit.training.recipe import Recipe

    for name, stage in recipe.stages.items():
        if isinstance(stage, Recipe):
            yield f"stage {name}", [(stage.description,)] if stage.description else [("",)]
            yield from _training(stage)
        else:
            yield f"stage {name}", list(_lines(stage))
    yield "product", list(_lines(recipe.product)) if recipe.product else []


def _training(recipe: Recipe) -> list[Section]:
    learners = recipe.build_system().all_learners()
    counts = [(name, f"{_count(modules):,} parameters") for name, modules in learners.items()]
    return [
        ("data", list(_lines(recipe.data))),
        ("system", list(_lines(recipe.system))),
        ("learners", counts),
        ("optimizers", [(k, _inline(v)) for k, v in recipe.optimizers.items()]),
        ("train", [(k, str(v)) for k, v in vars(recipe.train).items()]),
    ]


def _run(found: Subject) -> list[Section]:
    from genkit.training.log import read_metrics
    from genkit.training.recipe import Recipe
    from genkit.training.run_folder import RunFolder

    assert found.path
    folder, recipe = RunFolder(found.path), load_recipe(found.path / "recipe.yaml")
    if not isinstance(recipe, Recipe):
        return _run_of_stages(found, folder, recipe)
    done = read_metrics(folder.metrics)
    state = "finished" if folder.finished(recipe) else "not finished: go on with --resume"
    step = max(int(done[-1]["step"]) if done else 0, folder.step)
    rows = [("state", state), ("iteration", f"{step:,} of {recipe.train.steps:,}")]
    weights = (
        _weights(Subject("weights", found.name, {}, folder.weights)) if folder.weights.is_dir() else _so_far(found)
    )
    scores = _scores(folder.scores)
    return [(f"run {found.path}", rows), ("recipe", [(recipe.name, recipe.description)]), *weights, ("scores", scores)]


def _run_of_stages(found: Subject, folder: RunFolder, recipe: StagedRecipe) -> list[Section]:
    """The run as a whole, then each of its stages."""
    state = "finished" if folder.reported else "not finished: go on with --resume"
    own = _weights(Subject("weights", found.name, {}, folder.weights)) if folder.weights.is_dir() else []
    sections = [(f"run {found.path}", [("state", state), ("stages", ", ".join(recipe.stages))]), *own]
    for path in (folder.path / name for name in recipe.trainings):
        sections += _run(Subject("run", str(path), {}, path)) if (path / "recipe.yaml").is_file() else []
    return sections


def _so_far(found: Subject) -> list[Section]:
    """The weights that `genkit sample` would take of an unfinished run."""
    from genkit.training.unfinished import newest_averaged

    averaged = newest_averaged(found.path or Path(found.name))
    if averaged is None:
        return []
    rows = _about(averaged.bare(), len(averaged.content))
    return [(f"averaged weights of iteration {averaged.step:,}", rows)]


def _weights(found: Subject) -> list[Section]:
    from torch import nn

    from genkit.core.pretrained import Pretrained

    assert found.path
    module = Pretrained.from_pretrained(found.path)
    assert isinstance(module, nn.Module)
    rows = _about(module, (found.path / "model.safetensors").stat().st_size)
    return [
        (f"weights {found.path}", rows),
        ("config", list(_lines(module.config))),
        ("scores", _scores(found.path / "scores.json")),
        ("README.md", [(line,) for line in found.about.splitlines()]),
    ]


def _about(module: Any, size: int) -> list[tuple[str, str]]:
    """Rows about a module whose file has `size` bytes."""
    rows = [("type", type(module).__name__), ("parameters", f"{_count([module]):,}")]
    if shape := getattr(module, "sample_shape", None):
        rows.append(("samples", " x ".join(map(str, shape))))
    if conditions := getattr(module, "conditions", None):
        rows += [("condition", f"{name}: {space.about}{_called(space, name)}") for name, space in conditions.items()]
    if names := module.class_names:
        rows.append(("classes", numbered(names)))
    return [*rows, *getattr(module, "facts", ()), ("size", f"{size / 2**20:.1f} MiB")]


def _called(column: Column, name: str) -> str:
    """', disc, square', what its classes are called; those of "label" have a row of their own."""
    return f": {', '.join(column.names)}" if column.names and name != "label" else ""


def _name(found: Subject) -> list[Section]:
    known = lookup(found.name)
    if known is None:  # a source of layouts, which has papers alone
        return [(found.name, [])]
    kind, entry = known
    made = catalog.target_of(found.name, entry)
    shared = (base for cls, _ in shared_of(made).values() for base in cls.__mro__[:-2] if base.__doc__)
    text = "\n\n".join(inspect.cleandoc(doc) for doc in (made.__doc__ or entry.about, *(c.__doc__ for c in shared)))
    about: Section = (f"{found.name} ({kind}, {entry.target})", [(line,) for line in text.splitlines()])
    if kind == "layouts":
        return [about, *_example(found.name)]
    return [about, ("arguments", list(described(made)) or [("none",)])]


def _example(layout: str) -> list[Section]:
    """Settings of a checkpoint as a file, and as a line where the authors' scripts take them so."""
    import yaml

    from genkit.foreign import example_settings

    example = example_settings(layout)
    if example is None:
        return [("settings", [("none are needed: all is in the checkpoint",)])]
    option, settings = example
    values = {name: yaml.safe_dump(value, default_flow_style=True).splitlines()[0] for name, value in settings.items()}
    file = (f"{option} FILE, such as", [(f"{name}: {value}",) for name, value in values.items()])
    line = " ".join(f"--{name} {value}" for name, value in settings.items())
    return [file, ("the same on the line", [(line,)])] if option == "--settings" else [file]


def _scores(path: Path) -> list[tuple[str, str]]:
    values = read_values(path)
    if not values and path.is_file():
        return [("unreadable", str(path))]
    return [(name, f"{value:.4g}") for name, value in values.items()]


def _count(modules: Any) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def _lines(spec: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    """One row an argument, nested specs below their own."""
    for key, value in spec.items():
        parts = value if isinstance(value, list) and value and isinstance(value[0], Mapping) else [value]
        for part in parts:
            if isinstance(part, Mapping):
                yield f"{indent}{key}", str(part.get("type", ""))
                yield from _lines({k: v for k, v in part.items() if k != "type"}, indent + "  ")
            else:
                yield f"{indent}{key}", str(part)


def _inline(spec: Any) -> str:
    if not isinstance(spec, Mapping):
        return str(spec)
    rest = ", ".join(f"{k} {_inline(v)}" for k, v in spec.items() if k != "type")
    return f"{spec.get('type')}{f' ({rest})' if rest else ''}"

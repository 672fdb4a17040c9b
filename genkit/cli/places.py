"""Inputs and outputs of commands, checked when the line is parsed: nobody waits for a result without a place.

A command that writes is of the class `Writing`; its results are of the type `Place`, its inputs of `Input` or
`click.Path`. So one rule holds for all: no result replaces an input, lies in one, or takes another's place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import click

from genkit.core.documents import Unreadable, is_spec, parse_yaml
from genkit.core.errors import GenkitError, WeightsError, kind_of, shown
from genkit.core.files import at_home, check_place
from genkit.core.location import among_files_of, has_begun


class Input(click.ParamType):
    """An input of a command: a path, a name or a spec `{type: ...}`, kept as it was given but for a ~ before it.

    Args:
        name: its name in the help.
    """

    def __init__(self, name: str):
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return at_home(value) if isinstance(value, str) else value


OF_FILES = (".html", ".pdf", ".svg", ".json", ".csv", ".yaml", ".safetensors", ".png", ".jpg", ".gif")
"""Endings that no new folder has: who types one expects a file."""


class Place(click.Path):
    """A file or folder that can be written; its missing parents will be made.

    Args:
        folder: a folder is written, not a file.
        suffixes: that a file's name may end with; empty allows all.
        replaces: patterns of the files in a folder that the command replaces.
        over: suffixes of a file that may be replaced; empty allows all.
    """

    def __init__(
        self,
        *,
        folder: bool = False,
        suffixes: tuple[str, ...] = (),
        replaces: tuple[str, ...] = (),
        over: tuple[str, ...] = (),
    ):
        super().__init__(path_type=Path)
        self.folder, self.suffixes, self.replaces, self.over = folder, suffixes, replaces, over

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(str(super().convert(at_home(os.fspath(value)), param, ctx)))
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            self.fail(f"{path.name!r} should end with {' or '.join(self.suffixes)}", param, ctx)
        if self.folder and path.suffix.lower() in OF_FILES and not path.is_dir():
            self.fail(f"{path.name!r} names a file, and a folder is written; leave out {path.suffix}", param, ctx)
        check_place(path, folder=self.folder)
        return path


WEIGHTS, DATA, FILE, FOLDER = Input("weights"), Input("data"), Place(), Place(folder=True)
PICTURE, JSON = Place(suffixes=(".png",)), Place(over=(".json",))
ABOUT_WEIGHTS = "WEIGHTS is a weights folder, a run folder or a shipped name, see 'genkit list weights'."
ABOUT_DATA = (
    "DATA is the name of a data set from 'genkit list data', with its split as in mnist/test; a folder or zip of "
    "images; or a spec such as '{type: shifted, data: {type: mnist, split: test}, noise: 0.4}'."
)
"""The same text in the help of every command."""


class Output(NamedTuple):
    """A result: its name on the command line, its path, and its kind of place."""

    name: str
    path: Path
    place: Place


class Option(click.Option):
    """An option of some uses of a command.

    Args:
        of: these uses; empty where all have it.
        before: its names in earlier versions, without dashes; no help shows them.
    """

    def __init__(self, *args: Any, of: tuple[str, ...] = (), before: tuple[str, ...] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.of, self.before = of, before

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        if self.before:
            parser.add_option(self, [f"--{name}" for name in self.before], dest=self.name, nargs=self.nargs)


option: Callable[..., Any] = partial(click.option, cls=Option)
skip_bad_option: Callable[..., Any] = option(
    "--skip-bad", is_flag=True, help="Leave damaged files out, and say so, instead of stopping."
)
SEED, COUNT = click.IntRange(0, 2**63 - 1), click.IntRange(min=1)


class Writing(click.Command):
    """A command that writes; it is refused if it would overwrite what it reads."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options of a single use stand under a heading of their own."""
        found: dict[str, list[tuple[str, str]]] = {"Options": []}
        for option in self.get_params(ctx):
            of: tuple[str, ...] = getattr(option, "of", ())
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record:
                found.setdefault(f"Options of {of[0]}" if len(of) == 1 else "Options", []).append(record)
        for title, records in found.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def invoke(self, ctx: click.Context) -> Any:
        given = [(p, ctx.params[p.name]) for p in self.params if p.name and ctx.params.get(p.name) is not None]
        outputs = [Output(_called(p), value, p.type) for p, value in given if isinstance(p.type, Place)]
        inputs = {
            _called(p): value
            for p, value in given
            if isinstance(p.type, (Input, click.Path)) and not isinstance(p.type, Place)
        }
        check_apart(outputs, inputs)
        for name, path, place in outputs:
            if host := among_files_of(path):
                raise GenkitError(
                    f"{name} {path} lies among the files of the run {host}, which it empties; choose another place"
                )
            if whose := _file_of(path):
                raise GenkitError(f"{name} {path} is a file of {whose}; choose another place")
            if place.over and path.is_file() and path.suffix.lower() not in place.over:
                raise GenkitError(
                    f"{name} {path} is a file of another kind, which would be replaced; choose another name"
                )
        return super().invoke(ctx)


def _called(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name


def check_apart(outputs: Sequence[Output], inputs: Mapping[str, Any]) -> None:
    """Checks that no output overwrites another one or anything that is read.

    Args:
        inputs: name on the command line -> what is read: a path, name, spec, or several of these.

    Raises:
        GenkitError: an output is an input, replaces one in its folder, lies in a folder that is read, or is another
            output's place too.
    """
    for one, other in combinations(outputs, 2):
        if _lies_in(one.path, other.path) or _lies_in(other.path, one.path):
            raise GenkitError(f"{one.name} and {other.name} go to {other.path}; give each a place of its own")
    for output, (name, given) in product(outputs, inputs.items()):
        for path in _paths(given):
            if reason := _harm(output, path):
                raise GenkitError(f"{output.name} {output.path} {reason} ({name}); write to another place")


def _harm(output: Output, read: Path) -> str:
    """The harm that writing `output` would do to `read`, which exists; "" for none."""
    if os.path.realpath(output.path) == os.path.realpath(read):
        return "is an input"
    if output.place.folder and os.path.realpath(output.path) == os.path.realpath(read.parent):
        replaced = any(read.match(pattern) for pattern in output.place.replaces)
        return f"is where {read.name} is, which is read and would be replaced" if replaced else ""
    if not read.is_dir() or not _lies_in(output.path, read):
        return ""
    from genkit.core.location import CONFIG, RECIPE, WEIGHTS

    if any((folder / name).is_file() for folder in (read, read / "weights") for name in (CONFIG, RECIPE, WEIGHTS)):
        return f"is a part of {read}, which is read" if _own(output.path, read) else ""
    return f"lies in {read}, which is read"


def _own(path: Path, read: Path) -> bool:
    """Whether weights or a run in `read`, where `path` lies, keep a file of their own there."""
    from genkit.core.card_header import README
    from genkit.core.location import CONFIG, PRODUCTS, RECIPE, WEIGHTS
    from genkit.training.run_folder import RunFolder

    path, root = (Path(os.path.realpath(place)) for place in (path, read))
    for run in (folder for folder in path.parents if folder.is_relative_to(root) and (folder / RECIPE).is_file()):
        files = RunFolder(run)
        if {path, *path.parents} & {files.checkpoints, files.grids} or path in vars(files).values():
            return True
    return path.name in (CONFIG, PRODUCTS, README, RECIPE, WEIGHTS)


def _file_of(path: Path) -> str:
    """The run or the page that has a file of its own at `path`; "" where there is none."""
    from genkit.training.run_folder import RunFolder

    path = Path(os.path.realpath(path))
    if not path.is_file():
        return ""
    for run in (path.parent, path.parent.parent):
        if has_begun(run) and (path in vars(RunFolder(run)).values() or path.parent == run / "classifier"):
            return f"the run {run}"
    paged = (path.parent / "explanation.json").is_file()
    return (
        f"the page in {path.parent}" if paged and any(path.match(p) for p in ("explanation.*", "class-*.png")) else ""
    )


def _lies_in(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _paths(given: Any) -> Iterator[Path]:
    """The existing paths in an argument: itself, or those that its spec names as `path`."""
    if isinstance(given, Mapping):
        for key, value in given.items():
            if key == "path" or isinstance(value, (Mapping, list)):
                yield from _paths(value)
    elif isinstance(given, (list, tuple)):
        for value in given:
            yield from _paths(value)
    elif is_spec(text := str(given)):
        with suppress(Unreadable):
            spec = parse_yaml(text)
            yield from _paths(spec if isinstance(spec, Mapping) else ())
    elif given is not None and os.path.exists(path := at_home(text)):
        yield Path(path)


def loaded(kind: Any, weights: str, misfit: str = "") -> Any:
    """The `kind` that WEIGHTS hold, ready to compute as was asked.

    Args:
        misfit: the end of the line about something else.

    Raises:
        WeightsError: they hold something else; where no end is given, it says of a classifier what takes one.
    """
    from genkit.classifiers.image_classifier import ImageClassifier
    from genkit.core.computing import computing
    from genkit.core.pretrained import Pretrained

    module = Pretrained.from_pretrained(weights)
    if not isinstance(module, kind):
        if misfit:
            raise WeightsError(f"{weights} holds {kind_of(module)}{misfit}")
        takers = "; 'genkit evaluate' scores it, 'genkit explain train' explains it"
        use = takers if isinstance(module, ImageClassifier) else ""
        raise WeightsError(f"{weights} holds {kind_of(module)}, not {kind_of(kind)}{use}")
    return computing().ready(module)


def made(kind: Any, spec: str, where: str) -> Any:
    """The `kind` that a spec `{type: ...}` makes, ready to compute as was asked; where: for messages.

    Raises:
        GenkitError: no spec, or one that makes something else.
    """
    from torch import nn

    from genkit.core.catalog import build
    from genkit.core.computing import computing

    try:
        found = build(parse_yaml(spec), makes=kind, where=where)
    except Unreadable as damage:
        raise GenkitError(f"{where}: {shown(spec)} is no YAML mapping; write '{{type: name, key: value}}'") from damage
    if not isinstance(found, kind):
        raise GenkitError(f"{where}: {shown(spec)} makes {kind_of(found)}, not a {kind.__name__}")
    return computing().ready(found.eval()) if isinstance(found, nn.Module) else found

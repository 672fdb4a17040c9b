"""The one table of names: everything that a recipe, a configuration or a command may name, by kind.

Each floor lists its own names in `entries.py`; code adds more with `register`, and installed packages through the entry
points of the group "genkit", which are read, in the order of the packages' names, when a name is not found and by
`genkit list`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from genkit.core.entry import Entries, Entry
from genkit.core.errors import BrokenPlugin, RecipeError, shown, suggest
from genkit.core.others_code import note_others

FLOORS = ("core", "gan", "vae", "diffusion", "classifiers", "posthoc", "training", "data", "evaluation")
TYPES = ("generators", "systems", "networks", "vae", "diffusion", "techniques", "optimizers", "data", "columns")
"""Kinds whose names a recipe or config.json may use as `type`."""

NAME = re.compile(r"[\w./-]+")
KINDS = ("metrics", "extractors", "layouts", *TYPES)
GROUP = "genkit"
"""Entry points of installed packages: a function that calls `genkit.register`, or a mapping kind -> name -> Entry."""


def _of_floors() -> Entries:
    table: Entries = {kind: {} for kind in KINDS}
    for floor in FLOORS:
        for kind, entries in import_module(f"genkit.{floor}.entries").ENTRIES.items():
            table[kind].update(entries)
    return table


CATALOG: Entries = _of_floors()
"""kind -> name -> entry. Nothing that it names is imported before it is used."""


def register(kind: str, name: str, target: str, *, about: str = "", papers: Iterable[str] = ()) -> None:
    """Adds a name, so that recipes, weights and commands may use a class or function of your own.

    Only code can do this: a recipe or a weights folder never names a module to import.

    Args:
        kind: generators, systems, networks, techniques, data, columns, metrics, extractors, ...; see `genkit list`.
        name: unique in the whole table.
        target: "package.module:name", imported when it is first used.
        about: one line for `genkit list`.
        papers: keys of papers.bib, or BibTeX entries, for `genkit cite`; a text is one.

    Raises:
        RecipeError: the kind is unknown, the target or the name is none, the name is taken, or a paper is not known.
    """
    from genkit.core.papers import check_papers

    if not isinstance(target, str) or ":" not in target:
        raise RecipeError(f"{name}: the target is a text 'package.module:name', got {target!r}")
    if not isinstance(kind, str) or kind not in CATALOG:
        raise RecipeError(f"no kind {shown(kind)} in the catalog{suggest(kind, CATALOG)}")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise RecipeError(f"{shown(name)} is no name: letters, digits and . _ - /")
    if not isinstance(about, str):
        raise RecipeError(f"{name}: about is a text, got {shown(about)}")
    for other, names in CATALOG.items():
        if name in names and (other, names[name].target) != (kind, target):
            raise RecipeError(
                f"the catalog already has {name!r} among {other} ({names[name].target}); choose another name"
            )
    keys = check_papers([papers] if isinstance(papers, str) else papers)
    note_others(target.partition(":")[0])
    CATALOG[kind][name] = Entry(target, " ".join(about.split()), keys)


def lookup(name: Any, kinds: Iterable[str] = KINDS) -> tuple[str, Entry] | None:
    """The kind and the entry of a name; None when neither genkit nor an installed package has it."""
    return _lookup(name, kinds) or (_lookup(name, kinds) if isinstance(name, str) and load_plugins() else None)


def _lookup(name: Any, kinds: Iterable[str]) -> tuple[str, Entry] | None:
    if not isinstance(name, str):
        return None
    return next(((kind, CATALOG[kind][name]) for kind in kinds if name in CATALOG[kind]), None)


def has(kind: str, name: Any) -> bool:
    """Whether there is such a name of this kind."""
    return lookup(name, (kind,)) is not None


_loaded: list[str] = []
"""Packages whose entry points were read."""


def load_plugins() -> bool:
    """Reads the entry points of installed packages, once; whether that was now.

    A package whose entry point fails adds nothing and costs one warning that names it.
    """
    if _loaded:
        return False
    from importlib.metadata import entry_points

    _loaded.append("genkit")
    found = ((point.dist.name if point.dist else point.value, point) for point in entry_points(group=GROUP))
    for package, point in sorted(found, key=lambda pair: (pair[0], pair[1].name)):
        before = {kind: dict(entries) for kind, entries in CATALOG.items()}
        try:
            _add(point.load())
        except (Exception, SystemExit) as failure:
            for kind, entries in before.items():
                CATALOG[kind].clear()
                CATALOG[kind].update(entries)
            reason = f"{type(failure).__name__}: {failure}"
            warnings.warn(BrokenPlugin(f"package {package} adds nothing to genkit: {reason}"), stacklevel=2)
        else:
            _loaded.append(package)
    return True


def _add(plugin: Any) -> None:
    if not isinstance(plugin, Mapping):
        plugin()
        return
    for kind, entries in plugin.items():
        for name, entry in entries.items():
            target, about, papers = entry
            register(kind, name, target, about=about, papers=papers)

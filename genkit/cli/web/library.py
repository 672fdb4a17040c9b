"""All that the page may open: shipped weights, and the weights, runs, directions and pages below one folder.

A visitor gives a name of these lists, and nothing else is ever opened by a name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from genkit.core import catalog
from genkit.core.documents import read_mapping
from genkit.core.errors import GenkitError, shown
from genkit.core.location import CONFIG, RECIPE
from genkit.core.table import lookup

DEPTH, MOST = 6, 20_000
"""Folders below each other, and folders in all, that are looked into."""

INSIDE = {"weights", "checkpoints", "grids"}
"""Folders of a run that hold none of their own."""

LOG = "metrics.jsonl"

PAGES = ("explanation.html", "directions.html", "report.html")
DIRECTIONS = "directions.yaml"


@dataclass(frozen=True)
class Library:
    """The folder `root` and the shipped weights; each list is name -> place, read anew each time.

    Symbolic links are not followed, so that all that is listed lies below `root`.
    """

    root: Path

    @cached_property
    def shipped(self) -> dict[str, str]:
        """Shipped weights by their names."""
        return {path.parent.name: path.parent.name for path in sorted(catalog.shipped("weights").glob(f"*/{CONFIG}"))}

    def generators(self) -> dict[str, str]:
        """Runs and weights below `root`, the newest first, and shipped weights, that hold a generator."""
        return {name: place for name, place in self._weights().items() if _may_generate(place)}

    def others(self) -> dict[str, str]:
        """Runs and weights that hold something else, such as a classifier."""
        return {name: place for name, place in self._weights().items() if not _may_generate(place)}

    def runs(self) -> dict[str, Path]:
        """Runs below `root`, the one that was written to last first."""
        return self._named(folder for folder, names in self._folders() if RECIPE in names and names & {LOG, *INSIDE})

    def directions(self) -> dict[str, Path]:
        """Folders below `root` with directions of some generator."""
        return self._named(folder for folder, names in self._folders() if DIRECTIONS in names)

    def pages(self) -> dict[str, Path]:
        """Explanations, galleries and reports below `root`."""
        return self._named(folder / page for folder, names in self._folders() for page in PAGES if page in names)

    def _weights(self) -> dict[str, str]:
        own = (folder for folder, names in self._folders() if CONFIG in names or (RECIPE in names and names & INSIDE))
        theirs = {os.path.realpath(catalog.shipped("weights") / name) for name in self.shipped}
        found = {name: str(path) for name, path in self._named(own).items() if os.path.realpath(path) not in theirs}
        return found | {name: place for name, place in self.shipped.items() if name not in found}

    def _named(self, places: Iterator[Path]) -> dict[str, Path]:
        newest = sorted(places, key=lambda path: -path.stat().st_mtime)
        return {path.relative_to(self.root).as_posix(): path for path in newest}

    def _folders(self) -> Iterator[tuple[Path, set[str]]]:
        """Every folder below `root`, itself among them, with the names of the files and folders in it."""
        for number, (folder, folders, files) in enumerate(os.walk(self.root)):
            path = Path(folder)
            names = {name for name in (*folders, *files) if not (path / name).is_symlink()}
            inside = INSIDE if RECIPE in names else set()
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in inside)
            if number >= MOST or len(path.relative_to(self.root).parts) >= DEPTH:
                folders.clear()
            yield path, names


def chosen(listed: dict[str, Any], name: Any) -> Any:
    """The place of a name in one of the lists.

    Raises:
        GenkitError: it is not in the list.
    """
    if not isinstance(name, str) or name not in listed:
        raise GenkitError(f"{shown(name)} is not in the list; choose one of it")
    return listed[name]


def _may_generate(place: str) -> bool:
    """By its configuration; of a run that has not finished nobody knows before it is opened."""
    from genkit.core.generator import Generator

    config = _configuration(place)
    if not config or lookup(config.get("type"), ["generators"]):
        return True
    with suppress(GenkitError):
        return catalog.may_make(catalog.find(config.get("type")), Generator)
    return False


def _configuration(place: str) -> Mapping[str, Any]:
    """The content of its config.json; empty where there is none."""
    folders = (Path(place), Path(place) / "weights", catalog.shipped("weights") / place)
    return next((read_mapping(folder / CONFIG) for folder in folders if (folder / CONFIG).is_file()), {})

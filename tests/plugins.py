"""Packages that extend genkit, as if they were installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genkit.core import table


@contextmanager
def untouched_table() -> Iterator[None]:
    """A block after which names registered in it are forgotten and entry points are read anew."""
    before, loaded = {kind: dict(entries) for kind, entries in table.CATALOG.items()}, list(table._loaded)
    table._loaded.clear()
    try:
        yield
    finally:
        for kind, entries in before.items():
            table.CATALOG[kind].clear()
            table.CATALOG[kind].update(entries)
        table._loaded[:] = loaded


def install(folder: Path, patch: pytest.MonkeyPatch, package: str, point: str, *code: Path) -> None:
    """Puts the metadata of a package with one entry point, and its code, where Python looks for both."""
    metadata = folder / f"{package.replace('-', '_')}-0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(f"[{table.GROUP}]\n{point}\n")
    for place in (folder, *code):
        patch.syspath_prepend(str(place))

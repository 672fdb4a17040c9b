"""Bench files, checked key by key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from genkit.core.catalog import BENCHES, check_arguments, shipped
from genkit.core.documents import Unreadable, read_yaml
from genkit.core.errors import EvaluationError, RecipeError, shown, suggest
from genkit.evaluation.possible import Wanted


@dataclass(frozen=True)
class BenchEntry:
    """One generator.

    Attributes:
        name: for tables; unique.
        source: weights, a run, a folder or zip of images, or a data set's name or spec.
        recipe: instead of a source: trained once for every seed.
        overrides: key.path=value for the recipe.
        cost: for the plot; default: measured seconds per 1,000 samples.
        training: for the table, what the training took; default: what the card of the weights says.
    """

    name: str
    source: str | dict[str, Any] | None = None
    recipe: str | None = None
    overrides: list[str] = field(default_factory=list)
    cost: float | None = None
    training: str | None = None

    def __post_init__(self) -> None:
        if (self.source is None) == (self.recipe is None):
            raise RecipeError(f"entry {shown(self.name)} needs either 'source' or 'recipe'")


@dataclass(frozen=True)
class Bench:
    """The content of a bench file; paths are relative to the working directory.

    Attributes:
        against: the reference: a data set's name or spec, or a folder or zip of images.
        entries: see `BenchEntry`.
        name: title.
        n, metrics, extractor, weights, batch_size: as `evaluate`; `weights` are the extractor's.
        also: further extractors, each with its metrics, of the same samples.
        seeds: every entry is scored once for each.
        neighbours: data whose nearest images are shown beside samples; default: the reference.
        among: that many images are searched for the nearest; default: n.
        cost: name of the costs of the entries, in the plot and the table.
    """

    against: str | dict[str, Any]
    entries: list[BenchEntry]
    name: str = "bench"
    n: Annotated[int, Field(ge=2)] = 10_000
    metrics: list[str] = field(default_factory=lambda: ["fd", "kd", "pr"])
    extractor: str | None = None
    weights: str | None = None
    also: dict[str, list[str]] = field(default_factory=dict)
    seeds: Annotated[list[int], Field(min_length=1)] = field(default_factory=lambda: [0, 1, 2])
    batch_size: Annotated[int, Field(ge=1)] = 64
    neighbours: str | dict[str, Any] | None = None
    among: Annotated[int, Field(ge=1)] | None = None
    cost: str = "seconds per 1,000 samples"

    @classmethod
    def load(cls, path: str | Path) -> Bench:
        """Reads a YAML file, or the shipped one of this name.

        Raises:
            RecipeError: missing, no YAML, or with the path of a wrong key or value.
        """
        given = shipped("recipes") / BENCHES / f"{path}.yaml"
        try:
            tree = read_yaml(given if given.is_file() and not Path(path).is_file() else Path(path))
        except Unreadable as fault:
            if not os.path.exists(path):
                near = suggest(str(path), [file.stem for file in given.parent.glob("*.yaml")])
                raise RecipeError(f"no bench file {shown(str(path))}, nor a shipped one{near}") from fault
            line = f", line {fault.line}" if fault.line else ""
            raise RecipeError(f"{path} cannot be read as YAML ({fault}{line})") from fault
        if not isinstance(tree, dict):
            raise RecipeError(f"{path} holds no mapping; a bench starts with 'against:' and 'entries:'")
        return cls.from_dict(tree)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Bench:
        """From nested mappings, every key and value checked."""
        given = tree.get("entries", [])
        if not isinstance(given, list) or not given or not all(isinstance(e, Mapping) for e in given):
            raise RecipeError("entries: needs a list of at least one {name: ..., source: ...}")
        entries = [BenchEntry(**check_arguments(BenchEntry, e, where=f"entries[{i}]")) for i, e in enumerate(given)]
        if len(names := {e.name for e in entries}) < len(entries):
            raise RecipeError(f"entries: names must differ, got {sorted(names)} for {len(entries)} entries")
        bench = cls(**check_arguments(cls, {**tree, "entries": entries}))
        if len(set(bench.seeds)) < len(bench.seeds) or min(bench.seeds) < 0:
            raise RecipeError(f"seeds: must differ and not be negative, got {bench.seeds}")
        for extractor, metrics in bench.judges():
            try:
                Wanted(metrics, bench.n).by_name_of(extractor)
            except EvaluationError as error:
                raise RecipeError(
                    f"{f'also.{extractor}' if extractor in bench.also else 'metrics'}: {error}"
                ) from error
        if bench.extractor in bench.also:
            raise RecipeError(f"also: {bench.extractor} is the extractor already; add its metrics to 'metrics'")
        return bench

    def judges(self) -> list[tuple[str | None, list[str]]]:
        """Each extractor with its metrics, the first one first."""
        return [(self.extractor, self.metrics), *self.also.items()]

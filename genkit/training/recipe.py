"""A recipe: one YAML file that says what is learned from what, how, and how it is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field

from genkit.core import catalog
from genkit.core.documents import Unreadable, check_plain, parse_yaml, read_yaml
from genkit.core.errors import RecipeError, shown

if TYPE_CHECKING:
    from genkit.core.system import System

Count = Annotated[int, Field(ge=1)]
Interval = Annotated[int, Field(ge=0)]
LONGEST_NAME = 200
"""Bytes; file systems take 255, and something may be added."""


@dataclass(frozen=True)
class Train:
    """How long, how much at once, and from which seed.

    Attributes:
        steps: iterations of the system; one may hold several updates.
        batch_size: samples of each batch over all processes.
        seed: of initial weights, order of the data and all noise.
        accumulate: micro-batches that each update is split into.
        ema: decay of the averaged weights; 0 keeps the last ones.
        precision: 'bf16' runs networks under bfloat16 autocast; noise and losses stay float32.
        mirror: flip images left-right at random.
        channels_last: keep images and convolutions in that memory layout, which many devices compute faster in; changes
            the last bits of a result.
        compile: run the learners' networks through torch.compile; refused with what differentiates twice, such as a
            gradient penalty.
        threads: CPU threads of each process, on which the last bits of a result depend; None leaves torch's choice.
        trackers: accelerate's, beside metrics.jsonl; one that is not installed is skipped with a note.
    """

    steps: Count
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 64
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    accumulate: Count = 1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    precision: Literal["no", "bf16"] = "no"
    mirror: bool = False
    channels_last: bool = False
    compile: bool = False
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    trackers: list[Literal["tensorboard", "wandb"]] = field(default_factory=lambda: ["tensorboard"])


@dataclass(frozen=True)
class Every:
    """Intervals in iterations; 0 means never, except at the end.

    Attributes:
        log: a line of metrics, averaged over the interval.
        grid: a picture of samples from the averaged weights.
        checkpoint: a checkpoint to resume from.
        evaluate: scores of the averaged weights, as the section `evaluate` says.
        keep: how many checkpoints stay, beside the best one.
    """

    log: Count = 50
    grid: Interval = 500
    checkpoint: Interval = 500
    evaluate: Interval = 0
    keep: Count = 2


@dataclass(frozen=True)
class Evaluate:
    """What is scored, at the end and as often as `every.evaluate` says.

    Attributes:
        against: a data set's spec; None takes the training data.
        metrics: names as `genkit list metrics` shows them.
        n: samples.
        extractor: None chooses by the data.
        best: the metric by which the best checkpoint is kept.
    """

    against: dict[str, Any] | None = None
    metrics: list[str] = field(default_factory=lambda: ["fd", "kd", "pr"])
    n: Annotated[int, Field(ge=2)] = 1000
    extractor: str | None = None
    best: str = "fd"


@dataclass(frozen=True)
class Recipe:
    """A checked recipe; `data`, `system` and each of `optimizers` are specs `{type: name, **arguments}`."""

    name: str
    data: dict[str, Any]
    system: dict[str, Any]
    optimizers: dict[str, Any]
    train: Train
    every: Every = Every()
    evaluate: Evaluate | None = None
    description: str = ""

    @classmethod
    def load(cls, source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """From a YAML file or the name of a shipped recipe, `key.path=value` overrides applied.

        Raises:
            RecipeError: the file is missing or no YAML mapping, or a key or value is wrong.
        """
        tree = _read(find_recipe(source))
        for override in overrides:
            _override(tree, override)
        return cls.from_dict(tree)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Recipe:
        """From nested mappings, every key and value of the top two levels checked.

        Raises:
            RecipeError: beginning with the key's path.
        """
        try:
            check_plain(tree)
        except Unreadable as fault:
            raise RecipeError(str(fault)) from fault
        sections = {"train": Train, "every": Every, "evaluate": Evaluate}
        tree = {k: _section(sections[k], v, k) if k in sections and v is not None else v for k, v in tree.items()}
        tree = {k: v for k, v in tree.items() if v is not None or k not in ("every", "evaluate")}
        checked = catalog.check_arguments(cls, tree)
        _check_name(checked["name"])
        return cls(**checked)

    def to_dict(self) -> dict[str, Any]:
        return {k: v for k, v in dataclasses.asdict(self).items() if v not in (None, "")}

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)

    def check(self) -> None:
        """Every name, key and plain value of the specs, checked without building; raises RecipeError."""
        catalog.check(self.data, kind="data", where="data")
        catalog.check(self.system, kind="systems", where="system")
        self.build_optimizers()
        if self.evaluate and self.evaluate.against is not None:
            catalog.check(self.evaluate.against, kind="data", where="evaluate.against")

    def build_data(self) -> Any:
        """The training data, a genkit.data.dataset.DataSet."""
        return catalog.build(self.data, kind="data", where="data")

    def build_system(self) -> System:
        """The system, its weights drawn from `train.seed`; the global random state is left as it was."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.train.seed)
            system: System = catalog.build(self.system, kind="systems", where="system")
        return system

    def build_optimizers(self) -> dict[str, Any]:
        from genkit.training.optimizers import Optimizer

        return {k: catalog.convert(Optimizer, v, where=f"optimizers.{k}") for k, v in self.optimizers.items()}

    def types(self) -> list[str]:
        """Every catalog name that the recipe uses, in order."""
        specs = [self.data, self.system, *self.optimizers.values()]
        return list(dict.fromkeys(name for spec in specs for name in _types(spec)))


def find_recipe(source: str | Path) -> Path:
    """The file of a path, or of a shipped name such as `digits/wgan_ratio_clipping`."""
    path, recipes = Path(source), catalog.shipped("recipes")
    for candidate in (path, recipes / f"{source}.yaml", recipes / str(source)):
        if candidate.is_file():
            return candidate
    known = ", ".join(shipped_recipes())
    raise RecipeError(f"no recipe {shown(str(source))}; give a YAML file or one of: {known}")


def shipped_recipes() -> list[str]:
    """Names of the shipped recipes, `<dataset>/<system>`."""
    folder = catalog.shipped("recipes")
    return sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.glob("*/*.yaml"))


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """`key.path: old -> new` for every leaf in which two recipes differ."""
    for key in sorted({*old, *new}, key=str):
        a, b, where = old.get(key), new.get(key), f"{path}.{key}" if path else str(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from differences(a, b, where)
        elif a != b:
            yield f"{where}: {shown(a)} -> {shown(b)}"


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = read_yaml(path)
    except Unreadable as fault:
        line = f" line {fault.line}:" if fault.line else ""
        raise RecipeError(f"{path}:{line} not valid YAML, {fault}") from fault
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} holds no mapping; a recipe starts with 'name:', 'data:', 'system:', ...")
    return tree


def _override(tree: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise RecipeError(f"override {shown(override)}: write key.path=value, such as train.steps=100")
    try:
        value = parse_yaml(text)
    except Unreadable as fault:
        raise RecipeError(f"override {shown(override)}: {shown(text)} is not a YAML value ({fault})") from fault
    *parents, last = path.split(".")
    node: Any = tree
    for depth, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[: depth + 1]))
    if isinstance(node, list):
        node[_position(node, last, path)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise RecipeError(f"override {shown(path)}: {shown('.'.join(parents))} has no keys")


def _child(node: Any, part: str, path: str) -> Any:
    if isinstance(node, list):
        return node[_position(node, part, path)]
    if not isinstance(node, dict):
        raise RecipeError(f"override {shown(path)}: there are no keys there")
    if node.get(part) is None:
        node[part] = {}
    return node[part]


def _position(node: list[Any], part: str, path: str) -> int:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(node):
        raise RecipeError(f"override {shown(path)}: the list has positions 0 to {len(node) - 1}, got {shown(part)}")
    return int(part)


def _section(cls: type, given: Any, where: str) -> Any:
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: needs a mapping, got {shown(given)}")
    return cls(**catalog.check_arguments(cls, given, where=where))


def _check_name(name: str) -> None:
    fits = name.isprintable() and len(name.encode()) <= LONGEST_NAME
    if not name or Path(name).name != name or name.startswith(".") or not fits:
        raise RecipeError(f"name: {shown(name)} names the run folder, so it must be a plain file name")


def _types(spec: Any) -> Iterator[str]:
    if isinstance(spec, Mapping):
        if isinstance(spec.get("type"), str):
            yield spec["type"]
        for value in spec.values():
            yield from _types(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from _types(value)

"""A recipe: one YAML file with data, system, training and scoring of a run."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import Field

from genkit.core import catalog
from genkit.core.documents import Unreadable, check_plain
from genkit.core.errors import RecipeError, shown
from genkit.core.reference import below
from genkit.training.place import NOWHERE, RecipePlace
from genkit.training.recipe_file import STAGES, as_written_today, find_recipe, read_recipe

if TYPE_CHECKING:
    from genkit.core.system import System

AtLeastOne = Annotated[int, Field(ge=1)]
Interval = Annotated[int, Field(ge=0)]
LONGEST_NAME = 200
"""Bytes; file systems take 255, and something may be added."""


@dataclass(frozen=True)
class Train:
    """Length, batch size, seed and precision of a training.

    Attributes:
        steps: iterations of the system; one may hold several updates.
        batch_size: samples of each batch over all processes.
        seed: of initial weights, order of the data and all noise.
        accumulate: micro-batches that each update is split into.
        ema: decay of the averaged weights; 0 keeps the last ones.
        ema_images: their half-life in images, in place of `ema`.
        ema_ramp: with it, the half-life is at most this share of the images seen.
        precision: 'bf16' runs networks under bfloat16 autocast; noise and losses stay float32. 'fp16' is for GPUs
            without units for it, and scales losses so that small gradients do not vanish.
        mirror: flip images left-right at random.
        balanced: show rows of rare classes more often, so that each class comes as often as the most frequent one.
        channels_last: keep images and convolutions in that memory layout, which many devices compute faster in; changes
            the last bits of a result.
        compile: run the learners' networks through torch.compile; refused where a loss differentiates twice, as a
            gradient penalty does.
        deterministic: on a GPU, only algorithms that give the same bits every time; without, some networks train
            quicker, and a run that was stopped may end with other weights than one that was not.
        threads: CPU threads of each process, on which the last bits of a result depend; None leaves torch's choice.
        trackers: accelerate's, beside metrics.jsonl; one that is not installed is skipped with a note.
    """

    steps: AtLeastOne
    batch_size: Annotated[int, Field(ge=1, le=2**20)] = 64
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    accumulate: AtLeastOne = 1
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    ema_images: Annotated[float, Field(gt=0)] | None = None
    ema_ramp: Annotated[float, Field(gt=0)] | None = None
    precision: Literal["no", "bf16", "fp16"] = "no"
    mirror: bool = False
    balanced: bool = False
    channels_last: bool = False
    compile: bool = False
    deterministic: bool = True
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    trackers: list[Literal["tensorboard", "wandb"]] = field(default_factory=lambda: ["tensorboard"])

    def __post_init__(self) -> None:
        if self.ema_ramp is not None and self.ema_images is None:
            raise RecipeError("train.ema_ramp: bounds a half-life; give train.ema_images too")


@dataclass(frozen=True)
class Every:
    """Intervals in iterations; 0 means never, except at the end.

    Attributes:
        log: a line of metrics, averaged over the interval.
        grid: a picture of samples from the averaged weights.
        checkpoint: a checkpoint to resume from.
        evaluate: scores of the averaged weights, as the section `evaluate` says.
        keep: number of checkpoints that stay, beside the best one.
    """

    log: AtLeastOne = 50
    grid: Interval = 500
    checkpoint: Interval = 500
    evaluate: Interval = 0
    keep: AtLeastOne = 2


@dataclass(frozen=True)
class Evaluate:
    """Scoring, at the end and as often as `every.evaluate` says.

    Attributes:
        against: a data set's spec; None takes the training data.
        metrics: names as `genkit list metrics` shows them.
        n: samples.
        extractor: None chooses by the data.
        best: the score by which the best checkpoint is kept; "fid" is understood as fd, and kept as that.
        select: whether a training leaves its best checkpoint instead of its last.
    """

    against: dict[str, Any] | None = None
    metrics: list[str] = field(default_factory=lambda: ["fd", "kd", "pr"])
    n: Annotated[int, Field(ge=2)] = 1000
    extractor: str | None = None
    best: str = "fd"
    select: bool = False

    def __post_init__(self) -> None:
        if self.best not in self.metrics and self.best != "fd":
            from genkit.evaluation.metrics.scores_by_name import given_scores, score_named

            object.__setattr__(self, "best", score_named(self.best, given_scores(self.metrics)) or self.best)


@dataclass(frozen=True)
class Rollback:
    """Going back from a useless state: to the last good checkpoint, and on more slowly.

    Attributes:
        lr: factor of all learning rates, each time; below 1, since at the same rates the same would happen again.
        at_most: number of times; at the next one the run ends with the last good state.
    """

    lr: Annotated[float, Field(gt=0, lt=1)] = 0.5
    at_most: Annotated[int, Field(ge=1, le=1000)] = 20


@dataclass(frozen=True)
class Recipe:
    """A checked recipe of one training; `data`, `system`, each of `optimizers` are specs `{type: name, **arguments}`.

    Attributes:
        start: weights, or a run, that a new run begins from; see genkit.training.start.
        place: the files it was read from and, for a stage, the products of earlier stages.
    """

    name: str
    data: dict[str, Any]
    system: dict[str, Any]
    optimizers: dict[str, Any]
    train: Train
    every: Every = Every()
    evaluate: Evaluate | None = None
    rollback: Rollback | None = None
    description: str = ""
    start: str | None = None
    place: RecipePlace = field(default=NOWHERE, init=False, compare=False, repr=False)

    @classmethod
    def load(cls, source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """From a YAML file or the name of a shipped recipe, `key.path=value` overrides applied.

        Raises:
            RecipeError: the file is missing or no YAML mapping, a key or value is wrong, or it has stages.
        """
        tree, files = read_recipe(source, overrides)
        if STAGES in tree:
            raise RecipeError(f"{source} has {STAGES}, each a training of its own; here a recipe of one is needed")
        return cls.from_dict(tree, RecipePlace(files, run=find_recipe(source).parent))

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], place: RecipePlace = NOWHERE) -> Recipe:
        """From nested mappings, every key and value of the top two levels checked.

        Raises:
            RecipeError: beginning with the key's path.
        """
        with place.naming_the_file():
            try:
                check_plain(tree)
            except Unreadable as fault:
                raise RecipeError(str(fault)) from fault
            sections = {"train": Train, "every": Every, "evaluate": Evaluate, "rollback": Rollback}
            tree = {k: section(sections[k], v, k) if k in sections and v is not None else v for k, v in tree.items()}
            tree = {k: v for k, v in tree.items() if v is not None or k not in ("every", "evaluate")}
            if isinstance(tree.get("optimizers"), Mapping):  # as `null` removes elsewhere
                tree["optimizers"] = {k: v for k, v in tree["optimizers"].items() if v is not None}
            checked = catalog.check_arguments(cls, below(as_written_today(tree), Path.cwd()))
            check_name(checked["name"])
            return cls(**checked).at(place)

    def at(self, place: RecipePlace) -> Recipe:
        """The same recipe at another place."""
        made = copy.copy(self)
        object.__setattr__(made, "place", place)
        return made

    def to_dict(self) -> dict[str, Any]:
        tree = dataclasses.asdict(self.at(NOWHERE))
        return {k: v for k, v in tree.items() if k != "place" and v not in (None, "")}

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True, width=120)

    def check(self) -> None:
        """Every name, key and plain value of the specs, checked without building; raises RecipeError."""
        with self.place.naming_the_file():
            catalog.check(self.data, kind="data", where="data")
            catalog.check(self.place.found(self.system, "system"), kind="systems", where="system")
            self.build_optimizers()
            if self.evaluate and self.evaluate.against is not None:
                catalog.check(self.evaluate.against, kind="data", where="evaluate.against")

    def build_data(self) -> Any:
        """The training data, a genkit.data.dataset.DataSet."""
        return catalog.build(self.data, kind="data", where="data")

    def build_system(self) -> System:
        """The system, its weights drawn from `train.seed`; the global random state is left as it was."""
        import torch

        from genkit.core.randomness import seed_networks

        with self.place.naming_the_file(), torch.random.fork_rng(devices=[]):
            seed_networks(self.train.seed)
            spec = self.place.found(self.system, "system")
            system: System = catalog.build(spec, kind="systems", where="system")
        return system

    def build_optimizers(self) -> dict[str, Any]:
        from genkit.training.optimizers import Optimizer

        return {k: catalog.convert(Optimizer, v, where=f"optimizers.{k}") for k, v in self.optimizers.items()}


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """`key.path: old -> new` for every leaf in which two recipes differ."""
    for key in sorted({*old, *new}, key=str):
        a, b, where = old.get(key), new.get(key), f"{path}.{key}" if path else str(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from differences(a, b, where)
        elif a != b:
            yield f"{where}: {shown(a)} -> {shown(b)}"


def section(cls: type, given: Any, where: str) -> Any:
    if not isinstance(given, Mapping):
        raise RecipeError(f"{where}: needs a mapping, got {shown(given)}")
    return cls(**catalog.check_arguments(cls, given, where=where))


def check_name(name: str) -> None:
    fits = name.isprintable() and len(name.encode()) <= LONGEST_NAME
    if not name or Path(name).name != name or name.startswith(".") or not fits:
        raise RecipeError(f"name: {shown(name)} names the run folder, so it must be a plain file name")

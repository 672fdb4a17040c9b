"""The learning contract: a System is one iteration of a paper's algorithm box, as a sequence of Updates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.core.condition import Condition, ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import RecipeError, TrainingError, kind_of, shown
from genkit.core.frozen import is_frozen
from genkit.core.generator import Generator, Items, LatentGenerator
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Randomness

Report = Mapping[str, Tensor]
Turns = Iterator["Update"]
"""A Python generator of Updates; what `yield` gives back is a Report."""


class Terms(dict[str, Tensor]):
    """The terms of a loss by name, some descended, the others observed; see `descend` and `observe`.

    Attributes:
        observed: names of the terms that are logged and not descended.
    """

    def __init__(self, terms: Mapping[str, Tensor], observed: Iterable[str] = ()):
        super().__init__(terms)
        self.observed = frozenset(observed)

    def __or__(self, other: Mapping[str, Tensor]) -> Terms:  # type: ignore[override]
        if not other:
            return self
        if twice := self.keys() & other.keys():
            raise TrainingError(f"two terms of a loss are called {shown(min(twice))}, and one would hide the other")
        return Terms({**self, **other}, self.observed | getattr(other, "observed", frozenset()))


def descend(**terms: Tensor) -> Terms:
    """Terms whose sum is descended, scalars: means over the batch. The trainer refuses one that has no graph."""
    return Terms(terms)


def observe(**terms: Tensor) -> Terms:
    """Terms that are logged: scalars, or one value a sample, (B, ...). Graphs are cut off."""
    return Terms({name: term.detach() for name, term in terms.items()}, terms)


@dataclass(frozen=True)
class Batch:
    """Rows of the data that belong to this process.

    Attributes:
        x: images in [-1, 1], (B, C, H, W) float32, or points (B, D).
        condition: a row a sample of every column that the data offer, e.g. {"label": (B,) int64}.
        index: position of each row in its data set, (B,) int64 on the CPU.
        target: as many unlabelled rows of the domain to adapt to, shaped like x; None where the data have one domain.
    """

    x: Tensor
    condition: Condition
    index: Tensor
    target: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)


class Data(Randomness):
    """The data and noise of training: endless batches, and noise that all processes share.

    Item k and every draw are functions of the seed and the position alone. Each process has its own rows of every batch
    and of every draw, so that two processes see what one process with the whole batch would. Draws of `common`
    are whole, and the same, on every process; they choose items, and lie on the CPU as those do.
    """

    @abstractmethod
    def __next__(self) -> Batch: ...

    @abstractmethod
    def common(self, draw: Callable[[torch.Generator], Tensor]) -> Tensor: ...

    @abstractmethod
    def fetch(self, index: Tensor) -> Batch: ...


@dataclass(frozen=True)
class Update:
    """One optimiser step of one learner, as a value: built by a system, performed by the trainer.

    Attributes:
        learner: whose parameters move; a key of `learners`.
        loss: called as loss(**on, **shared) -> `descend(...) | observe(...)`; a plain {name: scalar} is all descended.
            All are logged, by their means; of observations with one value a sample the Report hands back all. All
            randomness enters through `on`, so a loss is a pure function.
        on: tensors (or nested containers of them, or None) with one row per sample; split into micro-batches.
        shared: arguments that every micro-batch needs whole.
        coupled: samples interact (softmax weights, a centred reward), so that splitting is refused; layers that mix
            samples say so themselves, see `mixing_layer`.
    """

    learner: str
    loss: Callable[..., Mapping[str, Tensor]]
    on: Mapping[str, Any]
    shared: Mapping[str, Any] = field(default_factory=dict)
    coupled: bool = False


class Learning(nn.Module):
    """Anything with networks of its own to train: a system, or a technique inside one.

    Attributes:
        learners: name -> the submodules that one optimiser steps, e.g. {"generator": ("generator", "encoder")}.
        differentiates_twice: whether a loss of its own holds derivatives of networks, which torch.compile cannot
            differentiate again.
    """

    learners: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    differentiates_twice: ClassVar[bool] = False

    def all_learners(self) -> dict[str, list[nn.Module]]:
        """The learners of this module and of every Learning inside it.

        Raises:
            RecipeError: two of them share a name.
        """
        return _learners(self)

    def learner_of(self, child: str, name: str) -> str:
        """Name in this module of the learner `name` of the submodule `child`."""
        return name


def _learners(module: nn.Module) -> dict[str, list[nn.Module]]:
    if is_frozen(module):
        return {}
    own = module.learners if isinstance(module, Learning) else {}
    found = {name: [_learning_part(module, name, path) for path in paths] for name, paths in own.items()}
    for path, child in module.named_children():
        for inner, modules in _learners(child).items():
            name = module.learner_of(path, inner) if isinstance(module, Learning) else inner
            if name in found:
                raise RecipeError(f"two learners of {type(module).__name__} are called {name!r}")
            found[name] = modules
    return found


def _learning_part(module: nn.Module, name: str, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError as missing:
        found = getattr(module, path, None)
        raise RecipeError(
            f"{type(module).__name__}: learner {name!r} has the part {path!r}, which is "
            f"{'no attribute of it' if found is None else kind_of(found) + ', no module'}; `learners` gives each a "
            "tuple of attributes, and a constructor's type hint is what makes a module of a spec"
        ) from missing


class System(Learning, ABC):
    """The training of a generator: one iteration of a paper's algorithm.

    Attributes:
        generator: the generator that is learned.
        local_state: names of the buffers that differ from process to process (replay chains); all else is shared.
        leaves_free: whether data may lack a free condition, which is then left to the finished generator.
    """

    generator: Generator
    local_state: ClassVar[tuple[str, ...]] = ()
    leaves_free: ClassVar[bool] = False

    @property
    def products(self) -> Mapping[str, Pretrained]:
        """The results of training by name: the first is averaged, pictured and scored, the others are kept."""
        return {"generator": self.generator}

    @property
    def product(self) -> Pretrained:
        """The main product."""
        return next(iter(self.products.values()))

    def check_data(self, sample_shape: tuple[int, ...], conditions: ConditionSpace) -> None:
        """Raises RecipeError when the data are not what this system learns from."""
        if tuple(sample_shape) != tuple(self.generator.sample_shape):
            raise RecipeError(
                f"data: samples are {list(sample_shape)}, but the generator makes {list(self.generator.sample_shape)}; "
                "set the size and channels of one to those of the other"
            )
        if misfit := self.generator.conditions.misfit(conditions, self.generator.made, self.leaves_free):
            raise RecipeError(f"data: the generator {misfit}")

    def check(self, items: Items) -> None:
        """Raises RecipeError when the training set lacks what this system learns from, beside shape and conditions."""

    def check_batch(self, rows: int) -> None:
        """Raises RecipeError where this system cannot learn from batches of so many rows, of all processes together."""

    def setup(self, items: Items) -> None:
        """Called once with the training set, before training and before a checkpoint is loaded: sizes buffers.

        Raises:
            RecipeError: the items are not what this system learns from.
        """

    def for_inference(self, product: Pretrained, crew: Crew = ALONE) -> AbstractContextManager[None]:
        """A context for sampling, scoring or saving `product`, the averaged copy: gives it parts beside its weights.

        Must leave no trace that training could see.

        Args:
            crew: processes that enter it together, and may share its work.
        """
        return nullcontext()

    def exercise(self, product: Any, data: Data) -> None:
        """Runs `product`, the averaged copy, on the next batch of `data` as training does, for the statistics of its
        batch norms. Here: the fakes of a batch, or a network that takes images, on them.
        """
        batch = next(data)
        if isinstance(product, LatentGenerator):
            product(product.latents(data), product.asked(batch.x, batch.condition))
        else:
            product(batch.x)

    @abstractmethod
    def iteration(self, data: Data, step: int) -> Turns:
        """One pass of the paper's outer loop.

        Between yields everything is frozen; code after a yield runs after that step; `report = yield update` hands
        back the logged scalars. State that survives the iteration is a buffer.
        """


def mixing_layer(*modules: nn.Module) -> str:
    """Name of a layer whose output for a sample depends on the rest of its batch; "" where samples are kept apart.

    A layer says so by an attribute `mixes_samples = True`, or a property where it depends; torch's batch norms, which
    cannot, do so in training mode.
    """
    layers = [layer for module in modules for layer in module.modules()]
    if any(isinstance(layer, _BatchNorm) and layer.training for layer in layers):
        return "batch norm"
    return next((type(layer).__name__ for layer in layers if getattr(layer, "mixes_samples", False)), "")

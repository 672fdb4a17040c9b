"""Arithmetic and memory of an iteration, found by a rehearsal: no device is needed, and a recipe may be of any size."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genkit.training.shape_memory import ShapeMemory
from genkit.training.trainer import Trainer

Residue = tuple[int, int, int]
"""(m, a, n): iteration i does something where (m i + a) % n is 0."""


@dataclass(frozen=True)
class Cost:
    """Of a training.

    Attributes:
        flop: floating-point operations of an iteration, the mean over iterations; of products of matrices and
            convolutions alone, two for each multiplication and its addition.
        state: bytes of weights, averaged weights, gradients and optimisers.
        own_state: bytes of buffers that differ per process, such as persistent chains.
        activations: bytes that are kept for a backward pass at most, of an update or of a chain, in float32.
    """

    flop: float
    state: int
    own_state: int
    activations: int


def cost_of(trainer: Trainer) -> Cost:
    """The cost of the training of a rehearsal, which goes through the iterations that differ."""
    seen: set[Residue] = set()
    kept = KeptMemory((*trainer.system.parameters(), *trainer.system.buffers()))
    flop = {0: _counted(trainer, 0, seen, kept)}
    kinds = alike(seen)
    for step in kinds:
        if step not in flop:
            flop[step] = _counted(trainer, step, seen, kept)
    mean = sum(flop[step] * share for step, share in kinds.items())
    return Cost(mean, _state(trainer), _own_state(trainer), kept.most)


def _counted(trainer: Trainer, step: int, seen: set[Residue], kept: KeptMemory) -> int:
    """Operations of iteration `step`."""
    trainer.step = NotedStep(step, seen)
    with ShapeMemory(), Arithmetic() as counted, kept.watching():
        trainer.iterate()
    return counted.flop


def alike(seen: set[Residue]) -> dict[int, float]:
    """An iteration of each kind, and the share of its kind among all, where iterations differ by these residues."""
    period = math.lcm(*(n for _, _, n in seen))
    kinds: dict[tuple[bool, ...], list[int]] = {}
    for step in range(period):
        kinds.setdefault(tuple((m * step + a) % n == 0 for m, a, n in sorted(seen)), []).append(step)
    return {steps[0]: len(steps) / period for steps in kinds.values()}


class NotedStep(int):
    """m i + a of an iteration i, which notes what it is divided by."""

    m: int
    a: int
    seen: set[Residue]

    def __new__(cls, i: int, seen: set[Residue], m: int = 1, a: int = 0) -> NotedStep:
        made = super().__new__(cls, m * i + a)
        made.i, made.m, made.a, made.seen = i, m, a, seen  # type: ignore[attr-defined]
        return made

    def __mod__(self, n: int) -> int:
        self.seen.add((self.m, self.a, n))
        return int(self) % n

    def __add__(self, other: int) -> NotedStep:
        return NotedStep(self.i, self.seen, self.m, self.a + other)  # type: ignore[attr-defined]

    def __mul__(self, other: int) -> NotedStep:
        return NotedStep(self.i, self.seen, self.m * other, self.a * other)  # type: ignore[attr-defined]

    __radd__, __rmul__ = __add__, __mul__


class Arithmetic(TorchDispatchMode):
    """Counts operations by torch's formulas; its own counter cannot look into gradients of gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        formula, kwargs = flop_registry.get(func.overloadpacket), kwargs or {}
        if formula is None and _is_made_of_others(func):
            with self:
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if formula is not None:
            self.flop += formula(*args, **kwargs, out_val=out)
        return out


@cache
def _is_made_of_others(func: Any) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")


class KeptMemory:
    """Memory that is kept for backward passes, those of chains and other gradients of a system's own code as well.

    Args:
        lasting: tensors that are there anyway, such as weights.

    Attributes:
        most: bytes at the time that most is kept.
    """

    def __init__(self, lasting: Iterable[Tensor]):
        self.most = self.now = 0
        self.holders: Counter[int] = Counter()
        self._lasting = {_storage(tensor) for tensor in lasting}

    def watching(self) -> saved_tensors_hooks:
        """A context in which all that autograd saves is followed until it is let go."""
        return saved_tensors_hooks(self._keep, lambda kept: kept.tensor if isinstance(kept, Held) else kept)

    def _keep(self, tensor: Tensor) -> Held | Tensor:
        if _storage(tensor) in self._lasting:
            return tensor
        kept = Held(tensor, self)
        self.most = max(self.most, self.now)
        return kept


class Held:
    """A saved tensor, which counts as long as it is kept; one of several on the same memory counts once."""

    def __init__(self, tensor: Tensor, memory: KeptMemory):
        self.tensor, self.memory, self.place = tensor, memory, _storage(tensor)
        self.bytes = tensor.untyped_storage().nbytes()
        memory.now += 0 if memory.holders[self.place] else self.bytes
        memory.holders[self.place] += 1

    def __del__(self) -> None:
        self.memory.holders[self.place] -= 1
        self.memory.now -= 0 if self.memory.holders[self.place] else self.bytes


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _state(trainer: Trainer) -> int:
    """Bytes of what lasts: weights and buffers, the averaged copy, gradients, and optimisers."""
    networks = {
        id(t): t for module in (trainer.system, trainer.ema.module) for t in (*module.parameters(), *module.buffers())
    }
    learned = {id(p): p for parameters in trainer.parameters.values() for p in parameters}
    moments = [v for o in trainer.optimizers.values() for state in o.state.values() for v in state.values()]
    every = [*networks.values(), *learned.values(), *(v for v in moments if isinstance(v, Tensor))]
    return sum(t.numel() * t.element_size() for t in every) - _own_state(trainer)


def _own_state(trainer: Trainer) -> int:
    """Bytes of the buffers that differ per process; those are no part of the averaged copy."""
    return sum(trainer.system.get_buffer(name).nbytes for name in trainer.system.local_state)

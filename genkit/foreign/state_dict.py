"""From the authors' names of tensors to ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.core.tensors import is_finite, kind

TensorNames = dict[str, tuple[str, ...]]
"""Our name -> the authors' names of the same tensor; more than one where their code registers a module twice."""

WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes that data parallelism and compilation add."""

BATCH_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

M = TypeVar("M", bound=nn.Module)


def layer_names(ours: str, *theirs: str, tensors: Iterable[str] = ("weight", "bias")) -> TensorNames:
    """The names of one layer, registered in the authors' code as each of `theirs`."""
    return {f"{ours}.{tensor}": tuple(f"{name}.{tensor}" for name in theirs) for tensor in tensors}


def own_part(state: Mapping[str, Tensor], name: str) -> Mapping[str, Tensor]:
    """`state` without wrappers' prefixes; of a bundle of networks, the tensors under `name`."""
    state = _unwrapped(state)
    part = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
    return _unwrapped(part or state)


def _unwrapped(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    for prefix in WRAPPERS:
        if state and all(key.startswith(prefix) for key in state):
            return _unwrapped({key.removeprefix(prefix): value for key, value in state.items()})
    return state


def load_named(module: M, state: Mapping[str, Tensor], names: TensorNames) -> M:
    """`module` with the authors' tensors loaded into it.

    Args:
        module: our network; `names` has an entry for every tensor of its state dict.
        state: the authors' tensors.
        names: our name of a tensor -> the authors' names.

    Raises:
        WeightsError: naming the tensors that are missing, unexpected, of another shape or kind (see
            `genkit.core.tensors.load_into`), unequal to their double, or not finite.
    """
    theirs = [name for aliases in names.values() for name in aliases]
    _refuse("missing", (name for name in theirs if name not in state))
    _refuse("unexpected", sorted(state.keys() - set(theirs)))
    _refuse("not tensors", (name for name in theirs if not isinstance(state[name], Tensor)))
    expected = module.state_dict()
    _refuse(
        "of another shape",
        (
            f"{name} {list(state[name].shape)} instead of {list(expected[ours].shape)}"
            for ours, aliases in names.items()
            for name in aliases
            if state[name].shape != expected[ours].shape
        ),
    )
    _refuse(
        "of another kind",
        (
            f"{name} {state[name].dtype} instead of {expected[ours].dtype}"
            for ours, aliases in names.items()
            for name in aliases
            if kind(state[name].dtype) != kind(expected[ours].dtype)
        ),
    )
    _refuse(
        "not finite",
        (n for ours, aliases in names.items() for n in aliases if not is_finite(state[n], expected[ours].dtype)),
    )
    _refuse(
        "unequal, yet one tensor in the authors' code",
        (
            f"{first} and {double}"
            for first, *doubles in names.values()
            for double in doubles
            if not torch.equal(state[first], state[double])
        ),
    )
    module.load_state_dict({ours: state[first].to(expected[ours].dtype) for ours, (first, *_) in names.items()})
    return module


def _refuse(what: str, names: Iterable[str]) -> None:
    if found := list(names):
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise WeightsError(f"the checkpoint does not fit the layout: {what}: {', '.join(found[:3])}{more}")

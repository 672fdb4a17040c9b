"""Trees of tensors: latents of several parts, inputs of a loss, results of an encoder.

A tree is a tensor, or a tuple, list or mapping of trees; None is a tree without tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor

from genkit.core.errors import GenkitError, shown

Tree: TypeAlias = "Tensor | Sequence[Tree] | Mapping[str, Tree] | None"
T = TypeVar("T")


def map(function: Callable[..., Tensor], first: T, *others: T) -> T:
    """The tree of results of `function` on the tensors at each place of one tree, or of several of the same form.

    Raises:
        GenkitError: something that is no tree.
    """
    tree: Any = first
    if isinstance(tree, Tensor):
        tree = function(tree, *others)
    elif isinstance(tree, Mapping):
        tree = {name: map(function, tree[name], *(other[name] for other in others)) for name in tree}  # type: ignore[index]
    elif isinstance(tree, (tuple, list)):
        parts = [map(function, *at) for at in zip(tree, *others, strict=True)]  # type: ignore[call-overload]
        tree = type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    elif tree is not None:
        raise GenkitError(f"a tree holds tensors in tuples, lists and mappings, got {shown(tree)}")
    return tree  # type: ignore[no-any-return]


def where(rows: Tensor, first: T, other: T) -> T:
    """The rows of `first` where `rows` (n,) is true, those of `other` elsewhere, leaf by leaf."""
    return map(lambda a, b: torch.where(rows.view(-1, *[1] * (a.dim() - 1)), a, b), first, other)


def leaves(tree: Tree) -> list[Tensor]:
    """The tensors of a tree, in order.

    Raises:
        GenkitError: something that is no tree.
    """
    found: list[Tensor] = []
    map(lambda leaf: found.append(leaf) or leaf, tree)  # type: ignore[func-returns-value]
    return found


def packed(tree: Tree) -> Tensor:
    """The tensors of a tree side by side, one row a sample: (n, D), without a graph."""
    return torch.cat([leaf.detach().flatten(1) for leaf in leaves(tree)], 1)


def unpacked(flat: Tensor, like: T) -> T:
    """Undoes `packed`: (n, D) -> a tree of the form of `like`, whose rows may be others."""
    parts = iter(flat.split([leaf.shape[1:].numel() for leaf in leaves(like)], 1))  # type: ignore[arg-type]
    return map(lambda leaf: next(parts).reshape(len(flat), *leaf.shape[1:]), like)

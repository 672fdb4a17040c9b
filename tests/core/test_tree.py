from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from genkit.core import tree
from genkit.core.errors import GenkitError


class Pair(NamedTuple):
    a: Tensor
    b: Tensor | None


def nest(scale: float = 1.0) -> dict:
    one = torch.ones(2) * scale
    return {"z": one, "noise": (2 * one, [3 * one]), "pair": Pair(4 * one, None)}


def test_a_tree_keeps_its_form_and_every_tensor_its_place() -> None:
    got = tree.map(lambda a, b: a + b, nest(), nest(10))
    assert got.keys() == nest().keys() and isinstance(got["noise"], tuple) and isinstance(got["noise"][1], list)
    assert isinstance(got["pair"], Pair) and got["pair"].b is None
    assert [leaf[0].item() for leaf in tree.leaves(got)] == [11, 22, 33, 44]
    assert tree.map(torch.neg, torch.ones(1)).item() == -1 and tree.leaves(torch.ones(1))[0].item() == 1
    assert tree.leaves(None) == [] and tree.map(torch.neg, None) is None


def test_what_is_no_tree_is_refused() -> None:
    for use in (tree.leaves, lambda t: tree.map(torch.neg, t)):
        with pytest.raises(GenkitError, match=r"a tree holds tensors in tuples, lists and mappings, got 0\.5"):
            use({"z": (torch.ones(1), 0.5)})
    with pytest.raises(ValueError):
        tree.map(torch.add, (torch.ones(1),), (torch.ones(1), torch.ones(1)))


def test_tensors_side_by_side_and_back() -> None:
    latents = {"z": torch.arange(6.0).view(2, 3), "noise": [torch.arange(8.0).view(2, 1, 2, 2) + 10]}
    flat = tree.packed(latents)
    assert flat.tolist() == [[0, 1, 2, 10, 11, 12, 13], [3, 4, 5, 14, 15, 16, 17]]
    more = tree.unpacked(torch.cat([flat, flat[:1]]), latents)
    assert more["noise"][0].shape == (3, 1, 2, 2) and torch.equal(more["z"][:2], latents["z"])
    assert torch.equal(tree.packed(more)[2], flat[0])

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from genkit.layers.norm import spectrally_normalise

IMAGES, ROWS, ITEMS = torch.randn(2, 3, 6, 6), torch.randn(2, 7), torch.tensor([0, 4])


@pytest.mark.filterwarnings("ignore:.*spectral_norm.* is deprecated")
@pytest.mark.parametrize(("layer", "x"), [(nn.Conv2d(3, 5, 3), IMAGES), (nn.Linear(7, 4), ROWS)])
def test_weights_in_training_are_those_of_the_authors_of_old_code(layer: nn.Module, x: Tensor) -> None:
    """Algorithm 1 of Miyato et al. 2018: v from u, then u from v; and the gradient that both are held still for."""
    ours = deepcopy(layer)
    spectrally_normalise(ours)
    theirs = torch.nn.utils.spectral_norm(layer)
    kept = ours.parametrizations.weight
    theirs.weight_u.copy_(kept[0]._u)
    theirs.weight_v.copy_(kept[0]._v)
    for _ in range(5):
        with torch.no_grad():
            theirs.weight_orig.add_(torch.randn_like(theirs.weight_orig))
            kept.original.copy_(theirs.weight_orig)
        found, want = ours(x), theirs(x)
        torch.testing.assert_close(found, want)
        torch.testing.assert_close(
            torch.autograd.grad(found.square().sum(), kept.original),
            torch.autograd.grad(want.square().sum(), theirs.weight_orig),
        )


@pytest.mark.parametrize(("layer", "x"), [(nn.Linear(7, 4), ROWS), (nn.Embedding(5, 3), ITEMS)])
def test_it_comes_to_the_largest_singular_value(layer: nn.Module, x: Tensor) -> None:
    spectrally_normalise(layer)
    for _ in range(200):
        layer(x)
    assert torch.linalg.matrix_norm(layer.eval().weight, 2).item() == pytest.approx(1, abs=1e-5)

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.small_recipes import read
from genkit.core import catalog
from tests.diffusion.networks.published import PUBLISHED, RECIPES, Spec


def built(spec: Spec) -> nn.Module:
    """Without memory: the largest have half a billion weights."""
    with torch.device("meta"):
        return catalog.build(spec, kind="networks")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_number_of_parameters(name):
    expected, spec = PUBLISHED[name]
    millions = sum(parameter.numel() for parameter in built(spec).parameters()) / 1e6
    assert millions == pytest.approx(expected, abs=0.005 if expected < 40 else 0.05)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_the_published_network(name):
    system = read(name)["system"]
    network = (system.get("generator") or system["classifier"])["network"]
    assert built(network).config == built(PUBLISHED[RECIPES[name]][1]).config

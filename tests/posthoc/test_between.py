"""The way between two seeds begins and ends with their samples, whatever has a latent."""

from __future__ import annotations

import pytest
import torch

from genkit.core.catalog import find
from genkit.core.errors import GenkitError
from genkit.core.generator import LatentGenerator
from genkit.core.randomness import Rows
from genkit.posthoc.between import between, turned
from tests.contracts.specs import GENERATOR_SPECS, seeded

LATENT = [name for name, spec in GENERATOR_SPECS.items() if issubclass(find(spec["type"]), LatentGenerator)]


@pytest.mark.parametrize("name", LATENT)
def test_the_ends_are_the_samples_of_the_seeds(name: str) -> None:
    generator = seeded(GENERATOR_SPECS[name])
    rngs = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    rows = Rows(1, torch.Generator().manual_seed(9))
    condition = {k: column.draw(rows) for k, column in generator.conditions.items()}
    ends = torch.cat([generator.sample(1, condition=condition, rng=rng) for rng in rngs])
    made = between(generator, (3, 4), 5, condition)
    assert made.shape == (5, *generator.sample_shape)
    torch.testing.assert_close(made[[0, -1]], ends, rtol=1e-4, atol=1e-4)


def test_latents_keep_their_length_on_the_way() -> None:
    a, b = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    way = turned(a, b, torch.tensor([0.0, 1 / 3, 1.0]))
    torch.testing.assert_close(way, torch.tensor([[3.0, 0.0], [3 * 0.75**0.5, 1.5], [0.0, 3.0]]))


def test_equal_ends_stay() -> None:
    a = torch.tensor([[1.0, 2.0]])
    torch.testing.assert_close(turned(a, a, torch.tensor([0.0, 0.5, 1.0])), a.expand(3, 2))


def test_a_way_has_two_ends() -> None:
    generator = seeded(GENERATOR_SPECS[LATENT[0]])
    with pytest.raises(GenkitError, match="at least 2"):
        between(generator, (0, 1), 1)

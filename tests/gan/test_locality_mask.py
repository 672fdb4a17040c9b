from __future__ import annotations

import pytest

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.locality_mask import LocalityMask
from genkit.gan.networks.transgan_critic import TransGANCritic
from genkit.gan.networks.transgan_generator import TransGANGenerator
from tests.gan.game import linear_game


def game(mask: LocalityMask, **arguments: object) -> GANTraining:
    network = TransGANGenerator(3, size=8, channels=1, width=16, depths=(1, 1), heads=2, **arguments)
    return GANTraining(GAN(network), TransGANCritic(8, 1, width=8, depth=1, heads=2), schedules=[mask])


def test_the_schedule_switches_on_time() -> None:
    mask = LocalityMask([4, 6, 8], [2, 3, 5])
    gan = game(mask)
    seen = []
    for step in (0, 1, 2, 3, 4, 5, 6, 1):
        mask.apply(gan, step)
        seen.append(gan.generator.network.locality)
    assert seen == [4, 4, 6, 8, 8, None, None, 4], "a function of the iteration alone"


def test_what_cannot_be_masked_is_refused_in_one_line() -> None:
    with pytest.raises(RecipeError, match="a half-width of 64 is not below the 64 tokens"):
        game(LocalityMask([4, 64], [1, 2]))
    with pytest.raises(RecipeError, match="a half-width of 16 is not below the 16 tokens"):
        game(LocalityMask([16], [1]), windows=[0, 4])
    plain = linear_game(1.0, 2.0)
    with pytest.raises(RecipeError, match="MLPGenerator has no attention to mask"):
        GANTraining(plain.generator, plain.critic, schedules=[LocalityMask([1], [1])])
    for arguments in ({"widths": [1, 2], "until": [1]}, {"widths": [], "until": []}):
        with pytest.raises(RecipeError, match="one iteration for each"):
            LocalityMask(**arguments)
    with pytest.raises(RecipeError, match="must grow, got"):
        LocalityMask([1, 2], [5, 5])
    with pytest.raises(RecipeError, match="widths"):
        catalog.build({"type": "locality_mask", "widths": [-1], "until": [3]})

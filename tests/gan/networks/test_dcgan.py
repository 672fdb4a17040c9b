from __future__ import annotations

import pytest
import torch

from genkit.gan.networks.dcgan import DCGANCritic, DCGANGenerator


def maps(network: torch.nn.Module) -> list[tuple[int, ...]]:
    return [tuple(conv.weight.shape) for conv in network.convs]


def test_the_papers_generator_at_64_pixels():
    network = DCGANGenerator(100, 64, 3, width=128)
    assert network.stem.weight.shape == (1024 * 16, 100)
    assert maps(network) == [(1024, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 3, 4, 4)]


def test_maps_of_28_pixels_pass_through_7_and_4():
    assert maps(DCGANGenerator(8, width=4)) == [(16, 8, 3, 3), (8, 4, 4, 4), (4, 1, 4, 4)]
    critic = DCGANCritic(width=4)
    assert maps(critic) == [(4, 1, 4, 4), (8, 4, 4, 4), (16, 8, 3, 3)]
    assert critic.feature_dim == 16 * 4 * 4


def test_channels_stop_growing_at_1024():
    assert [shape[0] for shape in maps(DCGANCritic(64, 1, width=512))] == [512, 1024, 1024, 1024]


@pytest.mark.parametrize("size", [8, 14, 29, 45])
def test_any_size_from_8(size):
    x = DCGANGenerator(4, size, 1, width=2)(torch.randn(2, 4))
    assert x.shape == (2, 1, size, size)
    assert DCGANCritic(size, 1, width=2)(x).shape == (2,)


def test_initial_weights():
    torch.manual_seed(0)
    generator, critic = DCGANGenerator(64, width=32), DCGANCritic(width=32)
    assert generator.convs[0].weight.std().item() == pytest.approx(0.02, rel=0.05)
    he = (2 / (1 + 0.2**2) / (32 * 16)) ** 0.5
    assert critic.convs[1].weight.std().item() == pytest.approx(he, rel=0.05)
    assert critic(torch.rand(64, 1, 28, 28) * 2 - 1).std() > 1e-2

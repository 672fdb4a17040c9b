from __future__ import annotations

import pytest
import torch

from genkit.core.errors import RecipeError
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.networks.dcgan import DCGANCritic, DCGANGenerator
from genkit.gan.networks.latent import LatentNetwork
from genkit.gan.networks.resnet_gan import ResNetGenerator
from genkit.gan.networks.transgan_generator import TransGANGenerator
from genkit.gan.super_resolution import SuperResolution

SMALL = {"latent_dim": 3, "size": 8, "channels": 1, "width": 16, "depths": (1, 1), "heads": 2}


def game(low_resolution: bool = True) -> GANTraining:
    torch.manual_seed(0)
    generator = GAN(TransGANGenerator(**SMALL, low_resolution=low_resolution))
    return GANTraining(generator, DCGANCritic(8, 1, 4), cotasks=[SuperResolution()])


def test_the_term_is_fifty_times_the_error_of_the_enlarged_mean() -> None:
    gan = game()
    x = torch.rand(2, 1, 8, 8)
    low = x.view(2, 1, 4, 2, 4, 2).mean((3, 5))
    wanted = 50 * (gan.generator.network.from_low_res(low) - x).square().mean()
    term = gan.cotasks[0].loss(gan, x)["super_resolution"]
    torch.testing.assert_close(term, wanted)
    term.backward()
    network = gan.generator.network
    assert network.from_low.weight.grad.any() and network.stages[0].blocks[0].widen.weight.grad.any()
    assert network.stem.weight.grad is None, "the image stands in for the latent"


@pytest.mark.parametrize(
    ("network", "low"),
    [
        (DCGANGenerator(3, 28, 1, 4, low_resolution=True), 4),
        (DCGANGenerator(3, 16, 3, 4, low_resolution=True, classes=5), 4),
        (ResNetGenerator(3, 28, 1, 4, low_resolution=True), 7),
    ],
)
def test_convolutional_generators_start_from_small_images_too(network: LatentNetwork, low: int) -> None:
    gan = GANTraining(
        GAN(network), DCGANCritic(network.sample_shape[1], network.sample_shape[0], 4), cotasks=[SuperResolution()]
    )
    assert network.low_size == low
    x = torch.rand(2, *network.sample_shape)
    gan.cotasks[0].loss(gan, x)["super_resolution"].backward()
    assert network.from_low.weight.grad.any() and network.stem.weight.grad is None


def test_pairs_that_cannot_are_refused_in_one_line() -> None:
    with pytest.raises(RecipeError, match="low_resolution: true"):
        game(low_resolution=False)
    with pytest.raises(RecipeError, match="DCGANGenerator cannot start from a small image"):
        GANTraining(GAN(DCGANGenerator(3, 8, 1, 4)), DCGANCritic(8, 1, 4), cotasks=[SuperResolution()])
    for network in (TransGANGenerator(**SMALL), DCGANGenerator(3, 8, 1, 4), ResNetGenerator(3, 8, 1, 4)):
        with pytest.raises(RecipeError, match="starts from z only"):
            network.from_low_res(torch.zeros(1, 1, 4, 4))

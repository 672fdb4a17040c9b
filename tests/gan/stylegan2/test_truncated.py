from __future__ import annotations

from typing import Any

import pytest
import torch

from genkit.core.errors import GenkitError
from genkit.core.randomness import Noise
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPGenerator
from genkit.gan.stylegan2.truncated import Truncated, truncated
from tests.gan.stylegan2.fixture import CLOSE, read
from tests.gan.stylegan2.test_generator import small


def test_the_recorded_images() -> None:
    recorded = read()
    network, io, psi = recorded.generator, recorded.io, recorded.config["truncation"]
    network.w_avg.copy_(io["in.w_mean"][0])
    images = Truncated(GAN(network), psi)({"z": io["in.z"], "noise": recorded.noise()})
    torch.testing.assert_close(images, io["out.gen.img_trunc"], **CLOSE)


def test_the_first_layers_alone() -> None:
    w, mean = torch.randn(2, 6, 5), torch.randn(5)
    found = truncated(w, mean, 0.25, 4)
    torch.testing.assert_close(found[:, :4], mean + 0.25 * (w[:, :4] - mean))
    assert found[:, 4:].equal(w[:, 4:])


def test_one_changes_nothing_and_zero_gives_one_image_and_its_noise() -> None:
    generator = GAN(small()).eval()
    generator.network.measure(Noise(100))
    rng = [torch.Generator().manual_seed(0) for _ in range(2)]
    assert Truncated(generator, 1.0).sample(3, rng=rng[0]).allclose(generator.sample(3, rng=rng[1]), atol=1e-6)
    average = Truncated(generator, 0.0).eval()(torch.randn(3, 6))
    torch.testing.assert_close(average[1:], average[:1].expand(2, -1, -1, -1))


def test_more_vectors_than_there_are_are_refused() -> None:
    generator = GAN(small())
    depth = generator.network.synthesis.depth
    Truncated(generator, layers=depth)
    with pytest.raises(GenkitError, match=rf"layers: W\+ of this network has {depth} vectors, got {depth + 1}"):
        Truncated(generator, layers=depth + 1)


@pytest.mark.parametrize("psi", [float("nan"), float("inf"), "0.5", None])
def test_what_is_no_number_truncates_nothing(psi: Any) -> None:
    with pytest.raises(GenkitError, match="psi: a finite number, 1 for no truncation; got "):
        Truncated(GAN(small()), psi)


def test_a_network_without_styles_is_refused() -> None:
    with pytest.raises(GenkitError, match="truncation is of w, and MLPGenerator has none"):
        Truncated(GAN(MLPGenerator(3)))

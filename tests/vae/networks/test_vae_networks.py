"""Promises of every network of a variational autoencoder."""

from __future__ import annotations

import math

import pytest
import torch

from genkit.vae.networks.conv_hvae import ConvHVAENetwork
from genkit.vae.networks.gated import GatedConv2d, GatedLinear, he_linear
from genkit.vae.networks.gated_vae import GatedHVAENetwork, GatedVAENetwork
from genkit.vae.networks.gaussian import Flowed, Gaussian, GaussianHead
from genkit.vae.networks.pixelsnail_vae import PixelSNAILVAENetwork
from genkit.vae.networks.vae_network import VAENetwork, finish
from tests.contracts.specs import NETWORKS, seeded

SPECS = [spec for name, specs in NETWORKS.items() for spec in specs if "vae" in name]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: f"{s['type']}-{s.get('scaled', False)}")
def test_every_level_and_the_pixels(spec: dict) -> None:
    network: VAENetwork = seeded(spec).eval()
    x = torch.rand(2, *network.sample_shape, requires_grad=True)
    latents: list[torch.Tensor] = []
    levels, alone = network.levels(network.bottom_up(x)), network.levels()
    for level, dim in enumerate(network.latent_dims):
        prior, q = levels.send(latents[-1] if level else None)
        before_flows = q.base if isinstance(q, Flowed) else q
        assert before_flows.mean.shape == before_flows.log_variance.shape == (2, dim)
        z, log_q = q.drawn(torch.zeros(2, dim))
        assert z.shape == (2, dim) and log_q.shape == (2,) and z.equal(before_flows.mean) == (q is before_flows)
        unseen = alone.send(latents[-1] if level else None)
        assert unseen.posterior is None
        if level:
            assert prior.mean.shape == (2, dim) and prior.mean.equal(unseen.prior.mean)
        else:
            assert prior is None and unseen.prior is None and before_flows.mean.equal(network.posterior(x).mean)
        latents.append(z)
    pixels = network.decode(finish(levels, latents[-1]), x)
    assert network.decode(finish(alone, latents[-1]), x).mean.equal(pixels.mean)
    assert pixels.mean.shape == x.shape and (pixels.log_scale is not None) == network.scaled
    if network.scaled:
        assert pixels.log_scale.shape == x.shape
    else:
        assert pixels.mean.min() >= 0 and pixels.mean.max() <= 1
    assert torch.autograd.grad(pixels.mean.sum(), latents[0])[0].abs().min() > 0


@pytest.mark.parametrize("kind", [GatedVAENetwork, GatedHVAENetwork, ConvHVAENetwork, PixelSNAILVAENetwork])
def test_images_need_not_be_square(kind: type[VAENetwork]) -> None:
    more = {} if kind in (GatedVAENetwork, GatedHVAENetwork) else {"maps": 16}
    network = kind((7, 10), channels=3, latent_dim=2, width=5, **more)
    x = torch.rand(2, 3, 7, 10)
    levels, z = network.levels(network.bottom_up(x)), None
    for _ in network.latent_dims:
        z = levels.send(z).posterior.mean
    assert network.decode(finish(levels, z), x).mean.shape == x.shape


def test_gates() -> None:
    x = torch.randn(3, 4)
    layer = GatedLinear(4, 2)
    torch.testing.assert_close(layer(x), layer.value(x) / (1 + (-layer.gate(x)).exp()))
    conv, image = GatedConv2d(2, 3, 5, stride=2), torch.randn(1, 2, 7, 8)
    assert conv(image).shape == (1, 3, 4, 4)
    torch.testing.assert_close(conv(image), conv.value(image) * conv.gate(image).sigmoid())


def test_weights_start_as_he_says() -> None:
    torch.manual_seed(0)
    assert he_linear(500, 400).weight.std().item() == pytest.approx(math.sqrt(2 / 500), rel=0.02)


def test_a_gaussian() -> None:
    torch.manual_seed(0)
    g, z = Gaussian(torch.randn(2, 3), torch.randn(2, 3)), torch.randn(2, 3)
    want = torch.distributions.Normal(g.mean, (g.log_variance / 2).exp())
    torch.testing.assert_close(g.log_density(z), want.log_prob(z).sum(1))
    torch.testing.assert_close(g.at(torch.ones(2, 3)), g.mean + want.stddev)
    torch.testing.assert_close(g.log_density(torch.stack([z, z]))[1], g.log_density(z))
    assert g.drawn(z)[0].equal(g.at(z)) and g.drawn(z)[1].equal(g.log_density(g.at(z)))
    other = Gaussian(torch.randn(2, 3), torch.randn(2, 3))
    p = torch.distributions.Normal(other.mean, (other.log_variance / 2).exp())
    torch.testing.assert_close(g.divergence(other), torch.distributions.kl_divergence(want, p).sum(1))
    head = GaussianHead(2, 3)
    far = head(torch.tensor([[1e3, 1e3], [-1e3, -1e3]])).log_variance
    assert far.min() >= -6 and far.max() <= 2


def test_bounded_means_stay_in_the_range() -> None:
    far = torch.full((3, 2), 30.0)
    for bounded in (False, True):
        network = GatedVAENetwork(4, 1, 2, 6, scaled=True, bounded=bounded).requires_grad_(False)
        pixels = network.decode(far)
        assert pixels.log_scale is not None and pixels.log_scale.shape == pixels.mean.shape
        inside = bool(((pixels.mean >= 0) & (pixels.mean <= 1)).all())
        assert inside == bounded

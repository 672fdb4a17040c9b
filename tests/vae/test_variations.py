from __future__ import annotations

import pytest
import torch

from genkit.core.errors import DataError, GenkitError
from genkit.core.randomness import Rows
from genkit.gan.gan import GAN
from genkit.gan.networks.mlp import MLPGenerator
from genkit.vae.augment import ExemplarAugment
from genkit.vae.latent_priors import ExemplarPrior, StandardNormal
from genkit.vae.networks.gated_vae import GatedHVAENetwork, GatedVAENetwork
from genkit.vae.networks.pixelsnail_vae import PixelSNAILVAENetwork
from genkit.vae.vae import VAE
from genkit.vae.variations import between, cycle, regenerated, variations


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vae(prior=None, levels: int = 1) -> VAE:
    torch.manual_seed(0)
    return VAE((GatedVAENetwork, GatedHVAENetwork)[levels - 1](4, 1, 3, 8), prior=prior or ExemplarPrior(1)).eval()


IMAGE = torch.rand(1, 4, 4, generator=rng(1)) * 2 - 1


def test_variations_lie_around_the_mean_of_the_image() -> None:
    model, noise = vae(), Rows(5, rng()).normal(3)
    got = variations(model, IMAGE, 5, rng())
    with torch.no_grad():
        sd = (model.latent_prior.log_variance / 2).exp()
        torch.testing.assert_close(got, model(model.encode(IMAGE[None]) + sd * noise))
        model.latent_prior.log_variance.fill_(-40.0)
        exact = model(model.encode(IMAGE[None]))
    torch.testing.assert_close(variations(model, IMAGE, 2), exact.expand(2, -1, -1, -1), rtol=0, atol=1e-5)
    assert not got[0].equal(got[1])


def test_without_exemplars_they_come_from_the_posterior() -> None:
    model, noise = vae(StandardNormal()), Rows(5, rng()).normal(3)
    with torch.no_grad():
        q = model.network.posterior(model.likelihood.values(IMAGE[None]))
        want = model(q.mean + (q.log_variance / 2).exp() * noise)
    torch.testing.assert_close(variations(model, IMAGE, 5, rng()), want)


@pytest.mark.parametrize("network", [GatedHVAENetwork(4, 1, 3, 8), PixelSNAILVAENetwork(4, 1, 3, 8, maps=16, depth=1)])
def test_every_level_has_noise_of_its_own(network) -> None:
    model = VAE(network, prior=ExemplarPrior(1)).eval()
    with torch.no_grad():
        model.latent_prior.log_variance.fill_(-40.0)
    got = variations(model, IMAGE, 6, rng())
    assert got.shape == (6, 1, 4, 4) and got.std(0).max() > 1e-3
    torch.testing.assert_close(variations(model, IMAGE, 2, rng()), got[:2])


def test_the_way_between_two_images_starts_and_ends_at_their_means() -> None:
    for levels in (1, 2):
        model, other = vae(levels=levels), -IMAGE
        way = between(model, IMAGE, other, 5, rng())
        assert way.shape == (5, 1, 4, 4)
        torch.testing.assert_close(between(model, other, IMAGE, 5, rng()).flip(0), way)
        same = between(model, IMAGE, IMAGE, 3, rng())
        torch.testing.assert_close(same[0], same[2])
    model = vae()
    with torch.no_grad():
        a, b = model.encode(torch.stack([IMAGE, -IMAGE]))
        torch.testing.assert_close(between(model, IMAGE, -IMAGE, 5)[1], model((0.75 * a + 0.25 * b)[None])[0])


def test_a_cycle_feeds_on_itself() -> None:
    model = vae()
    made = cycle(model, 3, 4, rng())
    assert made.shape == (5, 3, 1, 4, 4) and made[0].min() < -0.5
    rows = Rows(3, rng())
    start = rows.uniform(1, 4, 4) * 2 - 1
    one = regenerated(model, start, rows)
    torch.testing.assert_close(made[:3], torch.stack([start, one, regenerated(model, one, rows)]))
    assert cycle(model, IMAGE[None], 1)[0].equal(IMAGE[None])


def test_refusals() -> None:
    for use in (
        lambda: variations(vae(), IMAGE, 0),
        lambda: between(vae(), IMAGE, IMAGE, 1),
        lambda: cycle(vae(), 1, 0),
        lambda: cycle(vae(), -1, 1),
    ):
        with pytest.raises(GenkitError, match="must be a whole number of at least"):
            use()
    other = GAN(MLPGenerator(3, 2, 8, 1))
    for use in (
        lambda: variations(other, IMAGE, 2),
        lambda: between(other, IMAGE, IMAGE, 2),
        lambda: cycle(other, 1, 1),
        lambda: ExemplarAugment(other),
    ):
        with pytest.raises(GenkitError, match="of a VAE, which encodes images; a GAN does not"):
            use()
    with pytest.raises(DataError, match="images are float"):
        variations(vae(), torch.zeros(3, 4, 4), 2)

"""A hierarchy of thirty levels: an image is seen once, and one Python generator serves bounds, training and samples."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from genkit.data.dataset import DataSet
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer
from genkit.vae.latent_priors import LatentPrior, StandardNormal, VampPrior
from genkit.vae.networks.gaussian import Gaussian, GaussianHead
from genkit.vae.networks.vae_network import Level, Levels, Pixels, Seen, VAENetwork, finish
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining

LEVELS, D, SIDE = 30, 2, 4


class Deep(VAENetwork):
    """A trunk up to the top, what is seen on the way up is used on the way down; counts the images it is shown."""

    sample_shape, latent_dims, scaled = (1, SIDE, SIDE), (D,) * LEVELS, False

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.Linear(SIDE**2, SIDE**2) for _ in range(LEVELS))
        self.posteriors = nn.ModuleList(GaussianHead(2 * SIDE**2, D) for _ in range(LEVELS))
        self.priors = nn.ModuleList(GaussianHead(SIDE**2, D) for _ in range(LEVELS - 1))
        self.down = nn.ModuleList(nn.Linear(D, SIDE**2) for _ in range(LEVELS))
        self.shown: list[int] = []

    def posterior(self, x: Tensor) -> Gaussian:
        return self.bottom_up(x)[0]

    def bottom_up(self, x: Tensor) -> Seen:
        self.shown.append(len(x))
        features = [x.flatten(1)]
        for cell in self.cells:
            features.append(torch.tanh(cell(features[-1])))
        top, *below = features[:0:-1]
        return self.posteriors[0](torch.cat([top, torch.zeros_like(top)], 1)), *below

    def levels(self, seen: Seen | None = None) -> Levels:
        s = torch.tanh(self.down[0]((yield Level(None, seen[0] if seen else None))))
        for i in range(1, LEVELS):
            q = self.posteriors[i](torch.cat([seen[i], s], 1)) if seen else None
            s = torch.tanh(s + self.down[i]((yield Level(self.priors[i - 1](s), q))))
        return s

    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        return Pixels(h.unflatten(1, self.sample_shape).sigmoid())


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def deep(prior: LatentPrior | None = None) -> VAE:
    torch.manual_seed(0)
    return VAE(Deep(), prior=prior).eval()


BITS = torch.rand(3, 1, SIDE, SIDE, generator=rng(1)).round()


def normal(g: Gaussian) -> Normal:
    return Normal(g.mean, (g.log_variance / 2).exp())


def test_each_image_is_seen_once_however_many_levels_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genkit.vae.vae.ROWS", 8)
    model = deep()
    model.log_likelihood(BITS * 2 - 1, rng=rng(), samples=20)
    assert model.network.shown == [3]
    model.bound(BITS, [torch.zeros(3, D)] * LEVELS, lambda z: z.sum(1))
    assert model.network.shown == [3, 3]
    model.sample(4, rng=rng())
    assert model.network.shown == [3, 3], "none is seen for a sample"


def test_training_sees_each_image_once() -> None:
    pixels = torch.randint(0, 256, (8, 1, SIDE, SIDE), dtype=torch.uint8, generator=rng())
    run = Trainer(VAETraining(deep()), Stream(DataSet("noise", pixels), 4, seed=0), {"vae": Adam(lr=1e-2)}, steps=20)
    logged = [run.iterate()["vae/bound"].item() for _ in range(20)]
    assert run.system.generator.network.shown == [4] * 20
    assert sum(logged[-5:]) > sum(logged[:5]) + 10, "and all of it learns"


def test_the_bound_is_that_of_all_levels() -> None:
    """Each difference of densities averages to a Kullback-Leibler divergence, in closed form, given the z above."""
    model = deep()
    n = 4000
    x = BITS[:1].expand(n, -1, -1, -1)
    noise = [torch.randn(n, D, generator=rng(level)) for level in range(LEVELS)]
    with torch.no_grad():
        found = model.bound(x, noise, model.latent_prior.mixture(model.network).log_density)
        levels, z = model.network.levels(model.network.bottom_up(x)), None
        want, densities = torch.zeros(n), torch.zeros(n)
        for level in range(LEVELS):
            prior, q = levels.send(z)
            p = Normal(torch.zeros(D), torch.ones(D)) if prior is None else normal(prior)
            z = q.mean + (q.log_variance / 2).exp() * noise[level]
            want += kl_divergence(normal(q), p).sum(1)
            densities += (normal(q).log_prob(z) - p.log_prob(z)).sum(1)
        mean = model.network.decode(finish(levels, z)).mean
    torch.testing.assert_close(found.divergence, densities, rtol=1e-4, atol=1e-3)
    assert abs(found.divergence.mean() - want.mean()) < 5 * found.divergence.std() / math.sqrt(n)
    pixels = (x * mean.log() + (1 - x) * (1 - mean).log()).flatten(1).sum(1)
    torch.testing.assert_close(found.reconstruction, pixels, rtol=1e-4, atol=1e-3)


def test_samples_of_an_importance_weighted_bound_are_those_of_their_own_image() -> None:
    """One pass for all, then each image's share of it: as if each were alone."""
    model = deep()
    noise = [torch.randn(3, 5, D, generator=rng(level)) for level in range(LEVELS)]
    prior = model.latent_prior.mixture(model.network).log_density
    with torch.no_grad():
        found = model.importance_bound(BITS, noise)
        for b in range(3):
            for s in range(5):
                one = model.bound(BITS[b : b + 1], [eps[b, s : s + 1] for eps in noise], prior)
                torch.testing.assert_close(found.log_weight[b, s], one.log_weight[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prior", [StandardNormal, lambda: VampPrior(3)])
def test_log_densities_of_latents_and_of_their_noise(prior: Any) -> None:
    """They differ by the volume that a prior's noise is stretched by: change of variables, one level at a time."""
    model = deep(prior())
    z = tuple(part[:1] for part in model.prior(2, rng()))
    decoded = model.decode(z)
    assert len(decoded.latents) == LEVELS and torch.equal(decoded.latents[0], z[0])
    torch.testing.assert_close(model(z), model.likelihood.images(decoded.pixels.mean))
    top, *below = model.log_prior(decoded)
    torch.testing.assert_close(top, model.latent_prior.mixture(model.network).log_density(z[0]))
    for level in (1, 7, LEVELS - 1):

        def latent(noise: Tensor, level: int = level) -> Tensor:
            return model.decode((*z[:level], noise[None], *z[level + 1 :])).latents[level][0]

        volume = torch.autograd.functional.jacobian(latent, z[level][0]).slogdet().logabsdet
        of_noise = Normal(0.0, 1.0).log_prob(z[level]).sum(1)
        torch.testing.assert_close(below[level - 1], of_noise - volume, rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_part_of_a_latent() -> None:
    """As a chain over images needs: through all levels, of the pixels and of both densities."""
    model = deep()
    z = tuple(part.requires_grad_() for part in model.prior(2, rng()))
    decoded = model.decode(z)
    observed = (torch.rand(2, 1, SIDE, SIDE, generator=rng()) < 0.5).float()
    log_p = model.likelihood.log_prob(observed, decoded.pixels) + sum(model.log_prior(decoded))
    for gradient in torch.autograd.grad(log_p.sum(), z):
        assert gradient.shape == (2, D) and gradient.abs().min() > 0


def test_a_network_of_more_levels_than_it_says_is_told() -> None:
    levels = Deep().levels()
    next(levels)
    with pytest.raises(RuntimeError, match="more levels than its latent_dims"):
        finish(levels, torch.zeros(1, D))

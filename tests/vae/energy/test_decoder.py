"""A VAE of genkit as a decoder of noise."""

from __future__ import annotations

import pytest
import torch

from genkit.core import tree
from genkit.core.errors import GenkitError
from genkit.core.randomness import Noise, Rows
from genkit.vae.energy.decoder import DrawnVAE
from genkit.vae.energy.langevin import Langevin, fresh
from genkit.vae.pixel_likelihoods import GaussianPixels, Logistic256
from genkit.vae.vae import VAE
from tests.contracts.specs import CONV_HVAE_N, ENERGY_N, HVAE_N, PIXELSNAIL_N, VAE_N, VAMP, seeded


def vae_of(network, prior=None) -> VAE:
    torch.manual_seed(1)
    return VAE(seeded({**network, "scaled": True}), GaussianPixels(), seeded(prior) if prior else None).eval()


@pytest.mark.parametrize("network", [VAE_N, HVAE_N, CONV_HVAE_N], ids=lambda s: s["type"])
@pytest.mark.parametrize("prior", [None, VAMP])
def test_densities_differ_by_the_change_of_variables(network, prior):
    """log p(noise) is log p(z) + log |dz / d noise| below the top, whose z is what a chain moves."""
    vae = vae_of(network, prior)
    latents = tuple(vae.latents(Noise(4)))
    drawn = DrawnVAE(vae).draw(latents, torch.zeros(4, *vae.sample_shape))
    top, *below = (part.clone().requires_grad_() for part in latents)
    z = vae.decode((top, *below)).latents
    widths = torch.zeros(4)
    for eps, part in zip(below, z[1:], strict=True):
        widths += torch.autograd.grad(part.sum(), eps, retain_graph=True)[0].log().sum(1)
    torch.testing.assert_close(drawn.log_density, drawn.log_prior + widths, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(drawn.log_prior, sum(vae.log_prior(vae.decode(latents))))
    assert (len(latents) == 1) == (widths.abs().max() == 0)


def test_without_noise_it_is_the_vae():
    vae = vae_of(HVAE_N)
    decoder, noise = DrawnVAE(vae), torch.randn(4, *vae.sample_shape)
    latents = decoder.latents(Noise(4))
    still, drawn = decoder.draw(latents, 0 * noise), decoder.draw(latents, noise)
    torch.testing.assert_close(vae.likelihood.images(still.x), vae(latents))
    assert drawn.mean.equal(still.mean) and not drawn.x.equal(still.x) and 0 <= drawn.x.min() <= drawn.x.max() <= 1
    pixels = vae.decode(latents).pixels
    torch.testing.assert_close(drawn.log_likelihood, vae.likelihood.log_prob(drawn.x, pixels))


@pytest.mark.parametrize(("target", "step_size"), [("exact", 1e-3), ("published", 1e-5)])
def test_chains_lower_the_energy_and_are_functions_of_their_rows(target, step_size):
    """The published target's steps are bounded by the widths of pixels, the exact one's by the energy alone."""
    energy, decoder = seeded(ENERGY_N).eval(), DrawnVAE(vae_of(HVAE_N))
    energy.start(decoder.draw(*fresh(decoder, Noise(16))).x)
    energy.head.weight.data.mul_(100)

    def chains(n: int):
        rows = Rows(n, torch.Generator().manual_seed(0))
        return Langevin(20, step_size, target).refine(energy, decoder, fresh(decoder, rows), rows)

    found, fewer = chains(8), chains(3)
    assert target == "published" or found.watched()["energy_drop"].mean() > 0
    torch.testing.assert_close(found.x[:3], fewer.x, rtol=0, atol=1e-5)
    assert [leaf.shape for leaf in tree.leaves(found.latents)] == [(8, 3), (8, 3)]


@pytest.mark.parametrize(
    ("network", "likelihood"),
    [(VAE_N, None), ({**VAE_N, "scaled": True}, Logistic256()), ({**PIXELSNAIL_N, "scaled": True}, GaussianPixels())],
)
def test_a_vae_whose_pixels_are_no_function_of_noise_is_refused(network, likelihood):
    with pytest.raises(GenkitError, match=r"a likelihood with at\(pixels, noise\) and no autoregression"):
        DrawnVAE(VAE(seeded(network), likelihood))

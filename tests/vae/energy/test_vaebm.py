"""VAEBM as a generator: samples, choice of candidates, scores of images."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from genkit.core.errors import BadState, DataError, GenkitError, RecipeError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.vae.energy.decoder import Drawn, log_normal
from genkit.vae.energy.energy_network import EnergyNetwork
from genkit.vae.energy.langevin import Langevin
from genkit.vae.energy.vaebm import VAEBM
from tests.contracts.specs import ENERGY_N, GAUSSIAN_VAE, VAE_N, seeded
from tests.contracts.specs import VAEBM as SPEC


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(**arguments) -> VAEBM:
    return seeded({**SPEC, **arguments}).eval()


class Flat(nn.Module):
    """A decoder of the user's own: a grey level, which is its latent, with noise."""

    sample_shape = (1, 8, 8)

    def latents(self, randomness):
        return randomness.normal(1)

    def draw(self, latents, noise):
        mean = (0.5 + 0.1 * latents)[:, :, None, None].expand(-1, 1, 8, 8)
        prior = log_normal(latents)
        return Drawn((mean + 0.05 * noise).clamp(0, 1), mean, prior, prior, log_normal(noise))


class Bright(EnergyNetwork):
    """Lower, the brighter."""

    def __init__(self, slope: float):
        super().__init__("mnist", 8, 1, 2)
        self.slope = slope

    def forward(self, x):
        return -self.slope * x.mean((1, 2, 3))


def test_samples_without_steps_are_the_decoders_rounded():
    plain, vae = model(langevin=None), seeded(GAUSSIAN_VAE)
    plain.decoder.load_state_dict(vae.state_dict())
    found, expected = plain.sample(5, rng=rng()), vae.sample(5, rng=rng())
    torch.testing.assert_close(found, expected, rtol=0, atol=1 / 255)
    levels = (found + 1) / 2 * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
    assert not found.equal(expected)


def test_images_are_cut_to_the_range_and_never_stretched():
    generator = VAEBM(Flat(), Bright(0.0), None)
    levels = (generator.sample(200, rng=rng()) + 1) / 2
    assert levels.min() > 0.1 and levels.max() < 0.9
    assert len(levels[0].unique()) == 1, "the mean has no noise"


def test_langevin_lowers_the_energy_of_samples():
    before = VAEBM(Flat(), Bright(50.0), None).sample(200, rng=rng()).mean()
    after = VAEBM(Flat(), Bright(50.0), Langevin(20, 1e-2)).sample(200, rng=rng()).mean()
    assert after > before + 0.05


def test_candidates_are_drawn_in_proportion_to_exp_minus_energy():
    """Sampling importance resampling of a normal, tilted: E(x) = -s m, m = 0.5 + 0.1 z, moves z's mean by 0.1 s."""
    drawn = VAEBM(Flat(), Bright(10.0), None, candidates=30).sample(4000, rng=rng())
    z = ((drawn.mean((1, 2, 3)) + 1) / 2 - 0.5) / 0.1
    assert z.mean() == pytest.approx(1.0, abs=0.1)
    assert z.std() == pytest.approx(1.0, abs=0.1)


def test_a_chain_starts_at_one_sample_at_least():
    for wrong in (0, 1.5, 10_001):
        with pytest.raises(RecipeError, match=rf"^candidates: input should be .*, got {wrong}$"):
            VAEBM(Flat(), Bright(0.0), candidates=wrong)
        with pytest.raises(RecipeError, match=r"^candidates: "):
            model().candidates = wrong


def test_energies_that_are_not_finite_choose_and_score_nothing():
    """With nan no candidate beats another, and an outlier score means nothing: both would pass unnoticed."""
    broken = VAEBM(Flat(), Bright(float("nan")), candidates=4)
    with pytest.raises(BadState, match=r"the energy of sample 0 is nan: .* an earlier energy network"):
        broken.sample(3, rng=rng())
    with pytest.raises(BadState, match="the energy of sample 0 is nan"):
        broken.image_scores(torch.zeros(2, 1, 8, 8))
    assert VAEBM(Flat(), Bright(float("nan"))).sample(3, rng=rng()).isfinite().all(), "the decoder's own"


def test_what_is_shown():
    assert len(VAEBM(Flat(), Bright(0.0), None, "sample").sample(1, rng=rng())[0].unique()) > 5
    assert len(VAEBM(Flat(), Bright(0.0), Langevin(1, 1e-3), "sample").sample(1, rng=rng())[0].unique()) > 5


def test_settings_that_are_changed_are_saved(tmp_path):
    generator = model()
    generator.langevin, generator.candidates = Langevin(5, 2e-3, "published"), 4
    again = Generator.from_pretrained(generator.save_pretrained(tmp_path))
    assert again.langevin.config == generator.langevin.config and again.candidates == 4
    assert again.sample(3, rng=rng()).equal(generator.sample(3, rng=rng()))
    generator.langevin = None
    assert Generator.from_pretrained(generator.save_pretrained(tmp_path)).langevin is None


def test_the_decoder_stays_as_it_is():
    generator = model().train()
    assert not generator.decoder.training and generator.energy.training
    assert not any(p.requires_grad for p in generator.decoder.parameters())


def test_energies_and_log_probabilities_of_images():
    generator, x = model(), torch.rand(6, 1, 8, 8) * 2 - 1
    energy = generator.energy_of(x)
    torch.testing.assert_close(energy, generator.energy((x + 1) / 2).detach())
    found = generator.unnormalised_log_prob(x, rng())
    bound = generator.decoder.log_likelihood(x, rng=rng()).nats
    torch.testing.assert_close(found, bound - energy.double())
    torch.testing.assert_close(generator.unnormalised_log_prob(x[:2], rng())[:2], found[:2])
    torch.testing.assert_close(generator.unnormalised_log_prob(x.double(), rng()), found)
    with pytest.raises(DataError, match=r"images are float \(B, 1, 8, 8\), got \(6, 8, 8\)"):
        generator.energy_of(x[:, 0])
    with pytest.raises(DataError):
        generator.energy_of(x * 100)
    with pytest.raises(GenkitError, match="a Flat says no likelihood"):
        VAEBM(Flat(), Bright(1.0)).unnormalised_log_prob(x)


@pytest.mark.parametrize("likelihood", [{"type": "bernoulli"}])
def test_a_vae_whose_pixels_are_no_function_of_noise_is_refused(likelihood):
    with pytest.raises(RecipeError, match=r"a likelihood with at\(pixels, noise\)"):
        model(decoder={"type": "vae", "network": VAE_N, "likelihood": likelihood})


def test_a_module_that_is_no_decoder_is_told_what_it_lacks():
    with pytest.raises(RecipeError, match=r"got a Linear: it lacks .*draw\(\).*energy\.decoder\.NoisyDecoder"):
        VAEBM(nn.Linear(1, 1), seeded(ENERGY_N))


def test_a_sample_does_not_depend_on_its_batch_with_candidates_and_chains():
    generator = model(candidates=3)
    generator.energy.head.weight.data.mul_(300)
    whole = generator.sample(6, rng=rng())
    parts = torch.cat(list(copy.deepcopy(generator).stream(6, 2, rng=rng())))
    torch.testing.assert_close(whole, parts, rtol=0, atol=2 / 255)
    assert not whole.equal(model().sample(6, rng=rng())), "candidates matter"
    assert generator._start(Rows(2, rng()))[1].shape == (2, 1, 8, 8)

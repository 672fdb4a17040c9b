from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genkit.core.catalog import build
from genkit.core.errors import DataError, WeightsError
from genkit.core.frozen import is_frozen
from genkit.core.randomness import Rows
from genkit.vae.augment import ExemplarAugment
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.networks.gated_vae import GatedHVAENetwork
from genkit.vae.vae import VAE
from genkit.vae.variations import regenerated


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = VAE(GatedHVAENetwork(4, 1, 3, 8), prior=ExemplarPrior())
    model.exemplars.replace(torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8))
    return model.save_pretrained(tmp_path / "vae")


def test_batches_become_8_bit_variations(weights: Path) -> None:
    augment, x = ExemplarAugment(VAE.from_pretrained(weights)), torch.rand(6, 1, 4, 4, generator=rng(1)) * 2 - 1
    got = augment(x, rng())
    want = regenerated(VAE.from_pretrained(weights), x, Rows(6, rng()))
    assert got.shape == x.shape and not got.requires_grad
    torch.testing.assert_close(got, want, rtol=0, atol=1 / 255 + 1e-6)
    levels = (got + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert augment(x, rng()).equal(got) and not augment(x, rng(1)).equal(got)
    torch.testing.assert_close(augment(x[:2], rng()), got[:2])


def test_it_carries_no_exemplars_and_learns_nothing_more(weights: Path) -> None:
    vae = VAE.from_pretrained(weights)
    augment = ExemplarAugment(vae, share=0.3)
    assert augment.share == 0.3 and augment.state_dict()["vae.latent_prior.means"].numel() == 0
    assert augment.config == {"type": "exemplar_augment", "vae": vae.config, "share": 0.3}
    assert len(vae.exemplars) == 5 and is_frozen(augment.vae) and not is_frozen(vae)


def test_refusals(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        build({"type": "exemplar_augment", "vae": {"weights": str(tmp_path / "nothing")}})
    with pytest.raises(DataError, match="images are float"):
        build({"type": "exemplar_augment", "vae": {"weights": str(weights)}})(torch.zeros(2, 3, 4, 4))

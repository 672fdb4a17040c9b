"""A decoder of the user's own, which is no VAE: trained over, saved, loaded, sampled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from genkit.core import table
from genkit.core.errors import GenkitError
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Randomness
from genkit.training import train
from genkit.vae.energy.decoder import Drawn, log_normal
from genkit.vae.energy.vaebm import VAEBM
from tests.vae.energy.test_vaebm_training import recipe


class OwnDecoder(Pretrained, nn.Module):
    """Latents of two numbers -> 8 x 8 pixels with noise of 0.1."""

    def __init__(self, size: int = 8):
        super().__init__()
        self.sample_shape = (1, size, size)
        self.linear = nn.Linear(2, size * size)

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.normal(2)

    def draw(self, latents: Tensor, noise: Tensor) -> Drawn:
        mean = self.linear(latents).sigmoid().view(-1, *self.sample_shape)
        x = (mean + 0.1 * noise).clamp(0, 1)
        log_prior = log_normal(latents)
        return Drawn(x, mean, log_prior, log_prior, log_normal((x - mean) / 0.1))


def test_it_is_learned_over_saved_and_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.CATALOG["networks"], "own_decoder", table.Entry(f"{__name__}:OwnDecoder", "", ()))
    OwnDecoder().save_pretrained(tmp_path / "decoder")
    tiny = recipe(2, chains={"type": "persistent_chains", "size": 5}).to_dict()
    tiny["system"]["generator"]["decoder"] = {"weights": str(tmp_path / "decoder")}
    run = train(type(recipe()).from_dict(tiny), tmp_path / "run")
    loaded = VAEBM.from_pretrained(run)
    assert not any(name.startswith("noisy") for name in loaded.state_dict()), "a decoder is saved once"
    samples = loaded.sample(5, rng=torch.Generator().manual_seed(1))
    again = VAEBM.from_pretrained(loaded.save_pretrained(tmp_path / "again"))
    assert again.sample(5, rng=torch.Generator().manual_seed(1)).equal(samples)
    assert loaded.image_scores(samples).keys() == {"energy", "outlier_score"}
    with pytest.raises(GenkitError, match="OwnDecoder says no likelihood"):
        loaded.unnormalised_log_prob(samples)

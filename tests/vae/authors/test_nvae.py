"""Import of the authors' VAE beneath VAEBM."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.foreign.importing import import_checkpoint
from genkit.vae.authors.nvae import NVAESettings
from tests.vae.energy.fixtures import recorded


def test_an_imported_vae_samples_as_the_authors(tmp_path):
    r = recorded("langevin_nvae")
    save_file(r.weights, tmp_path / "theirs.safetensors")
    import_checkpoint("vaebm/nvae", tmp_path / "theirs.safetensors", r.config["nvae_args"], tmp_path / "ours")
    vae = Generator.from_pretrained(tmp_path / "ours")
    assert vae.sample_shape == (3, 32, 32)
    mean = 5 * (r.io["vae_sample/logits"][:, :3] / 5).tanh()
    with torch.no_grad():
        found = vae(tuple(r.io[f"vae_sample/eps{g}"].flatten(1) for g in range(4)))
    torch.testing.assert_close(found, mean.clamp(-1, 1), rtol=0, atol=1e-5)


def test_it_is_read_with_and_without_the_energy():
    r = recorded("langevin_nvae")
    alone = {k.removeprefix("vae."): v for k, v in r.weights.items() if k.startswith("vae.")}
    settings = r.config["nvae_args"]
    states = [foreign.load("vaebm/nvae", state, settings).state_dict() for state in (r.weights, alone)]
    assert all(value.equal(states[1][name]) for name, value in states[0].items())


def test_adaptive_groups_halve_towards_smaller_scales():
    given = recorded("langevin_nvae").config["nvae_args"]
    adaptive = {"num_latent_scales": 4, "num_groups_per_scale": 16, "ada_groups": True, "min_groups_per_scale": 3}
    assert NVAESettings(**(given | adaptive)).groups() == (3, 4, 8, 16)
    assert NVAESettings(**(given | adaptive | {"ada_groups": False})).groups() == (16, 16, 16, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_groups_per_scale": 1, "num_latent_scales": 1}, "one scale of one group is another network"),
        ({"num_channels_dec": 8}, r"config\.num_channels_dec: must be num_channels_enc, 4, here, got 8"),
        ({"num_nf": 2}, r"config\.num_nf: input should be 0, got 2"),
        ({"num_mixture_dec": 10}, r"config\.num_mixture_dec: input should be 1, got 10"),
        ({"num_latent_per_group": 5}, "of another shape"),
        ({"num_preprocess_blocks": 4, "num_postprocess_blocks": 4}, "missing: pre_process"),
    ],
)
def test_other_networks_are_refused(change: dict, message: str):
    r = recorded("langevin_nvae")
    with pytest.raises(WeightsError, match=message):
        foreign.load("vaebm/nvae", r.weights, r.config["nvae_args"] | change)
    with pytest.raises(WeightsError, match="missing: prior_ftr0"):
        foreign.load("vaebm/nvae", {"stem.weight": torch.zeros(1)}, r.config["nvae_args"])

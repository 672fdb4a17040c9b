"""Import of the VAEBM authors' energies."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.core.pretrained import Pretrained
from genkit.foreign.importing import import_checkpoint
from genkit.vae.authors.vaebm import PLANS, SIZES
from tests.vae.energy.fixtures import assert_energies, recorded


def test_an_imported_energy_is_the_authors_and_is_not_started_again(tmp_path):
    r = recorded("ebm_mnist")
    save_file(r.weights, tmp_path / "theirs.safetensors")
    import_checkpoint("vaebm/energy", tmp_path / "theirs.safetensors", r.config, tmp_path / "ours")
    network = Pretrained.from_pretrained(tmp_path / "ours")
    network.start(r.io["x"])
    assert_energies(network(r.io["x"]).detach(), r.io["energy"])
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["plan"] == "mnist"


@pytest.mark.parametrize("name", ["langevin_nvae", "langevin_vanilla_vae"])
def test_the_energy_beside_a_vae_is_read(name):
    r = recorded(name)
    alone = {k.removeprefix("ebm."): v for k, v in r.weights.items() if k.startswith("ebm.")}
    wrapped = {f"module.{k}": v for k, v in alone.items()}
    x = r.io["it0/x_pos"]
    energies = [foreign.load("vaebm/energy", state, r.config["ebm"])(x) for state in (r.weights, alone, wrapped)]
    assert_energies(energies[0].detach(), r.io["it0/energy_pos"])
    assert energies[0].equal(energies[1]) and energies[0].equal(energies[2])


def test_other_tensors_and_settings_are_refused():
    r = recorded("ebm_mnist")
    with pytest.raises(WeightsError, match=r"of another shape: conv1\.weight"):
        foreign.load("vaebm/energy", r.weights, r.config | {"mid_channel": 9})
    with pytest.raises(WeightsError, match="missing: blocks"):
        foreign.load("vaebm/energy", r.weights, r.config | {"cls": "EBM_CIFAR32"})
    with pytest.raises(WeightsError, match="missing key 'cls'"):
        foreign.load("vaebm/energy", r.weights, {})
    with pytest.raises(WeightsError, match="at least 64 pixels a side, got 32"):
        foreign.load("vaebm/energy", r.weights, r.config | {"cls": "EBM_CelebA256", "size": 32})
    with pytest.raises(WeightsError, match=r"not finite: conv1\.bias"):
        foreign.load("vaebm/energy", r.weights | {"conv1.bias": torch.full((8,), torch.nan)}, r.config)


def test_every_class_has_a_size():
    assert set(SIZES) == set(PLANS.values())

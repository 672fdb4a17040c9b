from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from genkit.core.errors import GenkitError
from genkit.images import pixels as images
from genkit.vae.exemplar_explanation import explained
from genkit.vae.latent_priors import ExemplarPrior
from genkit.vae.networks.gated_vae import GatedVAENetwork
from genkit.vae.vae import VAE
from tests.cli.console import refusal, run


@pytest.fixture
def vae() -> VAE:
    """Exemplars of two sets, 5 and 7."""
    torch.manual_seed(0)
    model = VAE(GatedVAENetwork(28, 1, 3, 8), prior=ExemplarPrior())
    model.exemplars.replace(torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8))
    model.exemplars.extend(torch.randint(0, 256, (7, 1, 28, 28), dtype=torch.uint8))
    model.exemplars.origin[1]["data"] = "more"
    return model


def test_shares_are_the_responsibilities(vae: VAE) -> None:
    image = torch.rand(1, 28, 28) * 2 - 1
    with torch.no_grad():
        squared = (vae.encode(image[None]) - vae.exemplars.means).square().sum(1).double()
        want = (-squared / (2 * vae.latent_prior.log_variance.exp().double())).softmax(0)
    found = explained(vae, image, 12)
    order = squared.argsort()
    assert [i if data == "images" else 5 + i for data, i in found.rows] == order.tolist()
    torch.testing.assert_close(found.shares.double(), want[order], rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.distances, squared[order].sqrt(), rtol=1e-5, atol=1e-6)
    assert found.shares.sum().item() == pytest.approx(1, abs=1e-5)
    assert explained(vae, image, 3).rows == found.rows[:3]


def test_an_exemplar_explains_itself(vae: VAE) -> None:
    image = torch.rand(1, 28, 28) * 2 - 1
    vae.exemplars.extend(image[None])
    levels = images.from_uint8(images.to_uint8(image[None]))[0]
    found = explained(vae, levels, 1)
    assert found.rows == [("images", 0)] and found.distances.item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        mean = vae(vae.encode(levels[None]))
    torch.testing.assert_close(found.pictures, mean)


def test_command(vae: VAE, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    weights, picture = vae.save_pretrained(tmp_path / "vae"), tmp_path / "a.png"
    images.write_png(picture, torch.rand(1, 28, 28) * 2 - 1)
    ran = run(capsys, "explain", weights)
    assert "5 exemplars of images" in ran.out and "7 exemplars of more" in ran.out and "12 in all" in ran.out
    out = ("--json", tmp_path / "a.json", "--grid", tmp_path / "grid.png")
    ran = run(capsys, "explain", weights, picture, "-n", 3, *out)
    assert ran.code == 0 and "share of the prior" in ran.out, ran
    assert len(json.loads((tmp_path / "a.json").read_text())["exemplars"]) == 3
    assert (tmp_path / "grid.png").is_file()
    assert len(run(capsys, "explain", weights, picture, "-n", 99).out.splitlines()) == 2 + 12
    assert "give one" in refusal(capsys, "explain", weights, "--grid", tmp_path / "b.png")
    plain = VAE(GatedVAENetwork(28, 1, 3, 8)).save_pretrained(tmp_path / "plain")
    assert "StandardNormal has no exemplars" in refusal(capsys, "explain", plain, picture)
    with pytest.raises(GenkitError, match="no exemplars"):
        explained(VAE(GatedVAENetwork(28, 1, 3, 8)), torch.zeros(1, 28, 28), 1)

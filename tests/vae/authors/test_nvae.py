"""Import of the authors' VAE beneath VAEBM."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from genkit import foreign
from genkit.core.errors import WeightsError
from genkit.core.generator import Generator
from genkit.foreign.importing import import_checkpoint
from genkit.vae.authors.nvae import NVAESettings
from genkit.vae.networks.logistic_mixture import LogisticMixture
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


def test_a_mixture_of_logistics_is_read(tmp_path):
    """The authors' default, of which `image_conditional` gives 100 maps; images are of 5 bits, as of CelebA-HQ's."""
    r = recorded("langevin_nvae")
    rng = torch.Generator().manual_seed(0)
    name = "vae.image_conditional.1"
    state = {k: v for k, v in r.weights.items() if not k.startswith(name)}
    weight = torch.randn(100, *r.weights[f"{name}.weight"].shape[1:], generator=rng)
    log_norm = torch.zeros_like(r.weights[f"{name}.log_weight_norm"][:1]).expand(100, -1, -1, -1).contiguous()
    state |= {f"{name}.weight": weight, f"{name}.log_weight_norm": log_norm, f"{name}.bias": torch.zeros(100)}
    given = {k: v for k, v in r.config["nvae_args"].items() if k != "num_mixture_dec"}
    save_file(state, tmp_path / "theirs.safetensors")
    import_checkpoint("vaebm/nvae", tmp_path / "theirs.safetensors", {**given, "num_x_bits": 5}, tmp_path / "ours")
    vae = Generator.from_pretrained(tmp_path / "ours")
    assert vae.network.mixture == 10 and vae.likelihood.levels == 32
    x = vae.sample(2)
    with torch.no_grad():
        h = torch.randn(2, 8, 16, 16, generator=rng)
        raw = F.conv2d(F.elu(vae.network.ends(h)), weight / weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1), padding=1)
        pixels = vae.network.decode(h)
    torch.testing.assert_close(pixels.mixture, LogisticMixture.of(raw, 3, 10), rtol=1e-5, atol=1e-5)
    found = vae.likelihood.log_prob(vae.likelihood.values(x), pixels)
    assert found.shape == (2,) and found.isfinite().all()


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
        ({"num_nf": 2}, r"missing: nf_cells\.0\.cell1\.conv\.convz\.0\.weight"),
        ({"num_nf": -1}, r"config\.num_nf: .* got -1"),
        ({"num_mixture_dec": 10}, "of another shape"),
        ({"num_mixture_dec": 0}, r"config\.num_mixture_dec: .* got 0"),
        ({"num_x_bits": 9}, r"config\.num_x_bits: .* got 9"),
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


def test_flows_are_read_in_the_order_of_their_groups():
    """Tensors of nf_cells as `init_normal_sampler` numbers them: the pairs of one group after those of another."""
    r, state, made = recorded("langevin_nvae"), {}, torch.Generator().manual_seed(0)
    latents = r.config["nvae_args"]["num_latent_per_group"]
    hidden = 6 * latents
    shapes = {
        "conv.convz.0": (hidden, latents, 3, 3),
        "conv.convz.2": (hidden, 1, 5, 5),
        "mu.conv_0": (latents, hidden, 1, 1),
    }
    for number in range(4 * 2):
        for cell in ("cell1", "cell2"):
            for name, shape in shapes.items():
                state[f"nf_cells.{number}.{cell}.{name}.weight"] = torch.randn(shape, generator=made)
                norms = 0.1 * torch.randn(shape[0], 1, 1, 1, generator=made)
                state[f"nf_cells.{number}.{cell}.{name}.log_weight_norm"] = norms
            state[f"nf_cells.{number}.{cell}.mu.conv_0.bias"] = torch.randn(latents, generator=made)
    alone = {k.removeprefix("vae."): v for k, v in r.weights.items() if k.startswith("vae.")}
    vae = foreign.load("vaebm/nvae", alone | state, r.config["nvae_args"] | {"num_nf": 2})
    for group in range(4):
        unit = 1.01 if group == 0 else 1.0
        z = torch.randn(2, latents, 4, 3, generator=made)
        expected = unit * z
        for pair in (2 * group, 2 * group + 1):
            for cell in ("cell1", "cell2"):
                tensors = {k.removeprefix(f"nf_cells.{pair}.{cell}."): v for k, v in state.items()}
                expected = expected - shift_of(expected, tensors, mirrored=cell == "cell2")
        torch.testing.assert_close(unit * vae.network.flows[group](z), expected, rtol=1e-4, atol=1e-5)


def shift_of(z: Tensor, tensors: dict[str, Tensor], mirrored: bool) -> Tensor:
    """`CellAR`: two convolutions without offsets, an ELU behind each, another ELU, and one of 1x1."""
    latents = z.shape[1]
    owner, own = torch.arange(6 * latents) // 6, torch.arange(latents)
    for name, groups, source, target, itself in (
        ("conv.convz.0", 1, own, owner, False),
        ("conv.convz.2", 6 * latents, None, None, True),
        ("mu.conv_0", 1, owner, own, True),
    ):
        v, middle = tensors[f"{name}.weight"], tensors[f"{name}.weight"].shape[2] // 2
        mask = torch.ones_like(v)
        mask[:, :, middle + 1 :] = 0
        mask[:, :, middle, middle + 1 :] = 0
        if source is not None:
            seen = source <= target[:, None] if itself else source < target[:, None]
            mask[:, :, middle, middle] = seen.float()
        v = v * (mask.flip(2, 3) if mirrored else mask)
        weight = tensors[f"{name}.log_weight_norm"].exp() * v / (v.square().sum((1, 2, 3), keepdim=True) + 1e-10).sqrt()
        z = F.conv2d(z, weight, tensors.get(f"{name}.bias"), padding=middle, groups=groups)
        z = z if name == "mu.conv_0" else F.elu(F.elu(z) if name == "conv.convz.2" else z)
    return z

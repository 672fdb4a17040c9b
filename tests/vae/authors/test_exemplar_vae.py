"""The Exemplar VAE authors' networks, losses, bounds and samples, against outputs of their implementation."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from genkit import foreign
from genkit.core.errors import GenkitError, WeightsError
from genkit.core.generator import Generator
from genkit.foreign.importing import import_checkpoint
from genkit.vae.exemplar_choice import Chosen
from genkit.vae.vae import VAE
from genkit.vae.vae_training import VAETraining
from tests.shared import shared

FOLDERS = {
    "vae_binary": "vae",
    "vae_gray": "vae",
    "hvae_binary": "hvae_2level",
    "convhvae_binary": "convhvae_2level",
    "vae_vamp": "vae",
    "vae_standard": "vae",
}
BY_EXAMPLE = ["vae_binary", "vae_gray", "hvae_binary", "convhvae_binary"]
NETWORK = {"rtol": 1e-5, "atol": 1e-5}
DENSITY = {"rtol": 1e-4, "atol": 1e-4}


@dataclass
class Case:
    """One folder of fixtures, and what of it is loaded here."""

    folder: Path
    layout: str
    config: dict
    weights: dict[str, Tensor]
    io: dict[str, Tensor]

    def __post_init__(self):
        self.module = foreign.load(self.layout, self.weights, self.config)
        self.vae: VAE = self.module.network
        self.training = VAETraining(self.vae)

    def images(self, name: str) -> Tensor:
        return self.io[name].reshape(-1, *self.vae.sample_shape)

    def noise(self, *names: str) -> list[Tensor]:
        return [self.io[name] for name in names[: len(self.vae.latent_dims)]]

    def chosen(self, name: str = "exemplar_indices") -> Chosen | None:
        items = self.io.get(name)
        return None if items is None else Chosen(items, values=self.images("train_x")[items])


@cache
def case(name: str) -> Case:
    folder = shared("fixtures", "exemplar_vae", name)
    config = json.loads((folder / "config.json").read_text())
    weights, io = load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors")
    return Case(folder, f"exemplar-vae/{FOLDERS[name]}", config, weights, io)


def with_all_exemplars(c: Case) -> VAE:
    with torch.no_grad():
        c.vae.latent_prior.put(c.vae.network.posterior(c.images("train_x")).mean, [])
    return c.vae


@pytest.mark.parametrize("name", FOLDERS)
def test_forward(name, monkeypatch):
    c = case(name)
    eps = iter(c.noise("eps0", "eps1"))
    monkeypatch.setattr(c.module, "reparameterize", lambda mu, logvar: mu + (logvar / 2).exp() * next(eps))
    mean, log_scale, latents = c.module(c.io["x"])
    torch.testing.assert_close(mean, c.io["fwd/x_mean"], **NETWORK)
    if "fwd/x_logvar" in c.io:
        torch.testing.assert_close(log_scale, c.io["fwd/x_logvar"], **NETWORK)
    names = ("z_q",) if len(latents) == 3 else ("z1_q", "z2_q", "z1_p")
    wanted = [f"{n}{end}" for n in names for end in ("", "_mean", "_logvar") if not (n == "z1_p" and not end)]
    for got, key in zip(latents, wanted, strict=True):
        torch.testing.assert_close(got, c.io[f"fwd/{key}"], **NETWORK)


def test_reparameterize_draws_as_theirs_does():
    c = case("vae_binary")
    torch.manual_seed(3)
    mu, logvar = torch.randn(4, 6), torch.randn(4, 6)
    torch.manual_seed(5)
    got = c.module.reparameterize(mu, logvar)
    torch.manual_seed(5)
    eps = mu.new_empty(size=mu.shape).normal_()
    torch.testing.assert_close(got, eps * (0.5 * logvar).exp() + mu)


@pytest.mark.parametrize("name", FOLDERS)
def test_loss_and_gradients(name):
    c = case(name)
    vae, noise = c.vae, c.noise("eps0", "eps1")
    vae.zero_grad()
    beta, chosen = c.config["beta"], c.chosen()
    terms = c.training.loss(c.images("x"), noise, c.io["x_indices"][:, 0], None, beta, chosen)
    loss = terms["reconstruction"] + terms["divergence"]
    torch.testing.assert_close(loss, c.io["train/loss_mean"], **DENSITY)
    torch.testing.assert_close(-terms["reconstruction"], c.io["train/RE"].mean(), **DENSITY)
    torch.testing.assert_close(terms["divergence"] / beta, c.io["train/KL"].mean(), **DENSITY)
    loss.backward()
    ours = their_gradients(c)
    theirs = {k.removeprefix("grad/"): v for k, v in c.io.items() if k.startswith("grad/")}
    assert ours.keys() == theirs.keys()
    for key, gradient in theirs.items():
        distance = (ours[key] - gradient).norm() / gradient.norm().clamp_min(1e-6)
        assert distance < 1e-3, (key, distance)


def their_gradients(c: Case) -> dict[str, Tensor]:
    """Of every tensor of the checkpoint that has one, by its name there: found by changing it and looking who moved."""
    ours = dict(c.vae.named_parameters())
    found = {}
    for key, tensor in c.weights.items():
        marked = foreign.load(c.layout, c.weights | {key: tensor + 1}, c.config).network
        moved = [k for k, p in marked.named_parameters() if not p.equal(ours[k])]
        if moved:
            gradient = ours[moved[0]].grad
            found[key] = gradient if gradient.shape == tensor.shape else gradient.flatten(1).T
    return found


@pytest.mark.parametrize("name", BY_EXAMPLE)
def test_each_divergence_with_and_without_leaving_out(name):
    c = case(name)
    means = c.vae.network.posterior(c.chosen().values).mean
    torch.testing.assert_close(means, c.io["prior/exemplar_mean"], **NETWORK)
    z = c.io.get("fwd/z_q", c.io.get("fwd/z2_q"))
    mixture = c.vae.latent_prior.around(means)
    torch.testing.assert_close(mixture.log_density(z), c.io["prior/log_p_z_no_loo"], **DENSITY)
    from genkit.vae.log_mixture import LeaveOut

    out = LeaveOut(c.io["x_indices"][:, 0], c.io["exemplar_indices"])
    torch.testing.assert_close(mixture.log_density(z, out), c.io["prior/log_p_z_loo"], **DENSITY)
    matrix = c.io["prior/log_mix_matrix_loo"].logsumexp(1)
    torch.testing.assert_close(mixture.log_density(z, out), matrix, **DENSITY)


def test_vamp_and_standard_prior():
    c = case("vae_vamp")
    pseudo = c.vae.latent_prior.pseudo_inputs.clamp(0, 1).flatten(1)
    torch.testing.assert_close(pseudo, c.io["prior/pseudo_inputs"], **NETWORK)
    for name in ("vae_vamp", "vae_standard"):
        c = case(name)
        density = c.vae.latent_prior.mixture(c.vae.network).log_density(c.io["fwd/z_q"])
        torch.testing.assert_close(density, c.io["prior/log_p_z"], **DENSITY)


@pytest.mark.parametrize("name", FOLDERS)
def test_importance_weights(name):
    c = case(name)
    vae = with_all_exemplars(c) if name in BY_EXAMPLE else c.vae
    with torch.no_grad():
        bound = vae.importance_bound(c.images("test/x"), c.noise("test/eps0", "test/eps1"))
    torch.testing.assert_close(-bound.log_weight, c.io["test/neg_log_weight"], **DENSITY)
    log_px = bound.log_weight.logsumexp(1) - math.log(c.config["iwae_S"])
    torch.testing.assert_close(log_px, c.io["test/log_px"], **DENSITY)
    torch.testing.assert_close(-log_px.mean(), c.io["test/nll_mean"], **DENSITY)


@pytest.mark.parametrize("name", BY_EXAMPLE)
def test_means_for_nearest_neighbours(name):
    c = case(name)
    for ours, theirs in (("train_x", "z_train"), ("test/x", "z_test")):
        means = c.vae.network.posterior(c.images(ours)).mean
        torch.testing.assert_close(means, c.io[f"knnclf/{theirs}"], **NETWORK)
    nearest = torch.cdist(c.io["knnclf/z_test"], c.io["knnclf/z_train"]).topk(20, largest=False).indices
    assert (nearest == c.io["knnclf/top20"]).float().mean() > 0.95


@pytest.mark.parametrize("name", BY_EXAMPLE)
def test_generation_by_example(name):
    c = case(name)
    with torch.no_grad():
        means = c.vae.network.posterior(c.images("gen/ref_x")).mean
        z = c.vae.latent_prior.around(means).at(torch.arange(4).repeat_interleave(3), c.io["gen/eps_prior"])
        torch.testing.assert_close(z, c.io["gen/z"].flatten(0, 1), **NETWORK)
        below = [c.io["gen/eps_z1"]] if "gen/eps_z1" in c.io else []
        x = c.vae((z, *below))
    wanted = c.vae.likelihood.images(c.io["gen/x"].reshape(x.shape))
    torch.testing.assert_close(x, wanted, rtol=1e-5, atol=2e-5)
    assert x.min() >= -1 and x.max() <= 1


@pytest.mark.parametrize("name", FOLDERS)
def test_import_writes_a_weights_folder(name, tmp_path):
    c = case(name)
    save_file(c.weights, tmp_path / "theirs.safetensors")
    import_checkpoint(c.layout, tmp_path / "theirs.safetensors", c.config, tmp_path / "ours")
    vae = Generator.from_pretrained(tmp_path / "ours")
    assert isinstance(vae, VAE) and vae.sample_shape == c.vae.sample_shape
    if name not in BY_EXAMPLE:
        assert vae.sample(2).shape == (2, *vae.sample_shape)
        return
    with pytest.raises(GenkitError, match="has no exemplars"):
        vae.sample(2)
    vae.exemplars.replace(c.images("train_x").mul(2).sub(1))
    assert vae.sample(2).shape == (2, *vae.sample_shape)


def test_a_file_of_settings_may_hold_them_under_args():
    c = case("vae_binary")
    one, other = (foreign.load(c.layout, c.weights, config) for config in (c.config, c.config["args"]))
    assert all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "key"),
    [("vae_binary", "q_z_mean.bias"), ("hvae_binary", "p_z1_mean.weight"), ("vae_vamp", "means.linear.weight")],
)
def test_every_tensor_is_needed_and_checked(name, key):
    c = case(name)
    with pytest.raises(WeightsError, match=f"missing: {key}"):
        foreign.load(c.layout, {k: v for k, v in c.weights.items() if k != key}, c.config)
    with pytest.raises(WeightsError, match=f"of another shape: {key}"):
        foreign.load(c.layout, c.weights | {key: torch.zeros(2, 7)}, c.config)
    with pytest.raises(WeightsError, match="unexpected: more"):
        foreign.load(c.layout, c.weights | {"more": torch.zeros(1)}, c.config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": "flow"}, "config.prior"),
        ({"input_type": "gray", "use_logit": True}, "config.use_logit"),
        ({"same_variational_var": True}, "config.same_variational_var"),
        ({"z2_size": 6}, "config.z2_size: must equal z1_size, 5, got 6"),
        ({"input_size": [1, 8]}, "config.input_size"),
    ],
)
def test_settings_are_checked(change, message):
    c = case("hvae_binary")
    with pytest.raises(WeightsError, match=message):
        foreign.load(c.layout, c.weights, c.config["args"] | change)

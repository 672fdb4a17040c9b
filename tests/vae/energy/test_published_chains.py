"""The authors' recorded chains: their decoders, their U, its gradient and every step."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit.core.tree import packed
from genkit.vae.energy.langevin import Joint, Langevin
from tests.shared import shared
from tests.vae.energy.fixtures import assert_energies, assert_gradient, recorded
from tests.vae.energy.published import PublishedDecoder, gaussian_pixels

CHAINS = ("langevin_nvae", "langevin_vanilla_vae")


class Replay:
    """Randomness that hands out what was recorded."""

    def __init__(self, rows: list[Tensor]):
        self.rows = iter(rows)

    def normal(self, *shape: int) -> Tensor:
        found = next(self.rows)
        assert tuple(found.shape[1:]) == shape
        return found


def decoder_of(name: str) -> PublishedDecoder:
    r = recorded(name)
    state = {k.removeprefix("vae."): v for k, v in r.weights.items() if k.startswith("vae.")}
    return PublishedDecoder(state, [tuple(e.shape[1:]) for e in at(name, "it0", "_init")[0]])


def at(name: str, place: str, end: str = "", of: str = "eps") -> tuple[tuple[Tensor, ...], Tensor]:
    """Latents and pixel noise at a place of the recording."""
    r = recorded(name)
    groups = range(r.config["num_groups"])
    return tuple(r.io[f"{place}/{of}_z{g}{end}"] for g in groups), r.io[f"{place}/{of}_x{end}"]


@pytest.mark.parametrize("name", CHAINS)
def test_the_decoder_is_theirs(name):
    r = recorded(name)
    z, log_p, logits = decoder_of(name).ancestral([r.io[f"vae_sample/eps{g}"] for g in range(r.config["num_groups"])])
    torch.testing.assert_close(log_p, r.io["vae_sample/log_p"], rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(logits, r.io["vae_sample/logits"], rtol=1e-5, atol=1e-5)
    for g, part in enumerate(z):
        torch.testing.assert_close(part, r.io[f"vae_sample/z{g}"], rtol=1e-5, atol=1e-5)


def test_their_pixels_are_theirs():
    io = load_file(shared("fixtures", "vaebm", "decoders") / "io.safetensors")
    x, density = gaussian_pixels(*io["normal/param"].chunk(2, 1), io["normal/eps"])
    torch.testing.assert_close(x, io["normal/x"], rtol=0, atol=1e-6)
    torch.testing.assert_close(density, io["normal/log_prob"].flatten(1).sum(1), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("step", range(3))
def test_one_step_is_theirs(name, step):
    r = recorded(name)
    start = at(name, "it0", "_init") if step == 0 else at(name, f"it0/step{step - 1}", "_after")
    place, network = f"it0/step{step}", r.network()
    joint = Joint(network, decoder_of(name), "published", start)
    point = joint.point(packed(start))
    assert_energies(point.energy, r.io[f"{place}/energy"])
    expected = r.io[f"{place}/energy"] - r.io[f"{place}/log_p_z"] - r.io[f"{place}/log_px_given_z"]
    assert_energies(point.potential, expected)
    assert_gradient(point.gradient, packed(at(name, place, of="grad_eps")))
    chain = Langevin(1, r.config["step_size"], "published")
    moved = chain.proposal(point, packed(at(name, place, of="noise")))
    torch.testing.assert_close(moved, packed(at(name, place, "_after")), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CHAINS)
def test_a_whole_chain_is_theirs(name):
    """Energy, chain and negatives of their first iteration."""
    r, steps = recorded(name), recorded(name).config["num_steps"]
    noise = Replay([packed(at(name, f"it0/step{k}", of="noise")) for k in range(steps)])
    chain = Langevin(steps, r.config["step_size"], "published")
    found = chain.refine(r.network(), decoder_of(name), at(name, "it0", "_init"), noise)
    torch.testing.assert_close(
        packed((found.latents, found.noise)), packed(at(name, f"it0/step{steps - 1}", "_after")), rtol=0, atol=1e-5
    )
    negatives = found.mean if r.config["use_mu_cd"] else found.x
    torch.testing.assert_close(negatives, r.io["it0/x_neg"], rtol=0, atol=1e-5)
    assert_energies(r.network()(negatives).detach(), r.io["it0/energy_neg"])
    if not r.config["use_mu_cd"]:
        contrast = r.network()(r.io["it0/x_pos"]).detach().mean() - found.energy.mean()
        assert_energies(contrast, r.io["it0/cd_loss"])


@pytest.mark.parametrize("name", CHAINS)
def test_the_exact_target_is_the_published_one_by_a_change_of_variables(name):
    """log p(z) + log p(x|z) + log |dz/d eps| + log |dx/d eps| is log N(eps), where no pixel is cut and no width has a
    floor; so the two differ by the widths of the latents and of the pixels alone.
    """
    start, decoder = at(name, "it0", "_init"), decoder_of(name)
    drawn = decoder.draw(*start)
    z, log_prior, _ = decoder.ancestral(start[0])
    assert drawn.log_prior.equal(log_prior)
    latents = [torch.zeros_like(e, requires_grad=True) for e in start[0]]
    moved = decoder.ancestral([e + d for e, d in zip(start[0], latents, strict=True)])[0]
    widths = torch.zeros(len(z[0]))
    for part, delta in zip(moved, latents, strict=True):
        widths += torch.autograd.grad(part.sum(), delta, retain_graph=True)[0].log().flatten(1).sum(1)
    torch.testing.assert_close(drawn.log_density, log_prior + widths, rtol=1e-4, atol=1e-2)

"""NVAE: the authors' recorded passes and chains, thirty levels, sizes, parameters."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import nn

from genkit import foreign
from genkit.core.errors import RecipeError
from genkit.core.tree import packed
from genkit.vae.balanced_kl import divergences
from genkit.vae.energy.decoder import DrawnVAE
from genkit.vae.energy.langevin import Joint, Langevin
from genkit.vae.hierarchical.nvae import TOP_DEVIATION, NVAENetwork, soft_gaussian
from genkit.vae.networks.gaussian import soft_clamp
from genkit.vae.vae import VAE
from tests.contracts.specs import NVAE_N, seeded
from tests.vae.energy.fixtures import assert_energies, assert_gradient, recorded
from tests.vae.energy.test_published_chains import at

CHAIN = "langevin_nvae"


def theirs() -> VAE:
    r = recorded(CHAIN)
    return foreign.load("vaebm/nvae", r.weights, r.config["nvae_args"]).eval()


def noise(place: str) -> list[torch.Tensor]:
    return [recorded(CHAIN).io[f"{place}/eps{g}"].flatten(1) for g in range(4)]


def units(vae: VAE) -> float:
    """The top latent is in units of its prior's deviation, which makes each of its densities higher by this."""
    return vae.latent_dims[0] * math.log(TOP_DEVIATION)


def assert_pixels(pixels, logits) -> None:
    mean, log_scale = map(soft_clamp, logits.chunk(2, 1))
    torch.testing.assert_close(2 * pixels.mean - 1, mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(pixels.log_scale + math.log(2), log_scale, rtol=0, atol=1e-5)


@torch.no_grad()
def test_what_is_inferred_of_images_is_theirs() -> None:
    vae, io = theirs(), recorded(CHAIN).under("vae_fwd")
    found = vae.infer(io["x"], noise("vae_fwd"), vae.latent_prior.mixture(vae.network).log_density)
    assert_pixels(found.pixels, io["logits"])
    for ours, name in ((found.log_q, "log_q"), (found.log_p, "log_p")):
        torch.testing.assert_close(sum(ours) - units(vae), io[name], rtol=1e-6, atol=1e-3)
    torch.testing.assert_close(torch.stack(divergences(found)), io["kl_per_group"], rtol=1e-5, atol=1e-4)


@torch.no_grad()
def test_samples_are_theirs() -> None:
    vae, io = theirs(), recorded(CHAIN).under("vae_sample")
    decoded = vae.decode(noise("vae_sample"))
    for g, z in enumerate(decoded.latents):
        scale = 1 if g else TOP_DEVIATION
        torch.testing.assert_close(scale * z.unflatten(1, vae.network.maps[g]), io[f"z{g}"], rtol=0, atol=1e-5)
    assert_pixels(decoded.pixels, io["logits"])
    torch.testing.assert_close(sum(vae.log_prior(decoded)) - units(vae), io["log_p"], rtol=1e-6, atol=1e-3)


def flat(place: str, end: str = "", of: str = "eps"):
    latents, pixels = at(CHAIN, place, end, of)
    return tuple(z.flatten(1) for z in latents), pixels


@pytest.mark.parametrize("step", range(3))
def test_a_langevin_step_through_it_is_theirs(step: int) -> None:
    r = recorded(CHAIN)
    start = flat("it0", "_init") if step == 0 else flat(f"it0/step{step - 1}", "_after")
    point = Joint(r.network(), DrawnVAE(theirs()), "published", start).point(packed(start))
    assert_energies(point.energy, r.io[f"it0/step{step}/energy"])
    assert_gradient(point.gradient, packed(flat(f"it0/step{step}", of="grad_eps")))
    chain = Langevin(1, r.config["step_size"], "published")
    moved = chain.proposal(point, packed(flat(f"it0/step{step}", of="noise")))
    torch.testing.assert_close(moved, packed(flat(f"it0/step{step}", "_after")), rtol=0, atol=1e-5)


def test_standard_deviations_are_soft_clamped_and_a_little_larger() -> None:
    raw = torch.tensor([-30.0, -1.0, 0.5, 40.0, 3.0, -2.0, 0.0, 100.0]).view(1, 8, 1, 1)
    found = soft_gaussian(raw)
    want = [5 * math.tanh(a / 5) for a in raw.flatten().tolist()]
    torch.testing.assert_close(found.mean, torch.tensor([want[:4]]))
    deviations = torch.tensor([[math.exp(a) + 0.01 for a in want[4:]]])
    torch.testing.assert_close((found.log_variance / 2).exp(), deviations)


class Called:
    """Counts of the calls of each module of a network, and of the rows in all."""

    def __init__(self, network: nn.Module):
        self.times: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        for name, module in network.named_modules():
            if not list(module.children()):
                module.register_forward_hook(lambda m, given, out, name=name: self.count(name, len(given[0])))

    def count(self, name: str, rows: int) -> None:
        self.times[name] += 1
        self.rows[name] += rows


def deep(levels: int) -> NVAENetwork:
    torch.manual_seed(0)
    return NVAENetwork(8, 1, 2, (levels,), 1, cells=1, block_cells=1).eval()


def test_thirty_levels_see_an_image_once_and_cost_in_proportion() -> None:
    totals = []
    for levels in (10, 20, 30):
        network = deep(levels)
        called, vae = Called(network), VAE(network)
        vae.log_likelihood(torch.zeros(3, 1, 8, 8), rng=torch.Generator().manual_seed(0), samples=5)
        seen = {n: k for n, k in called.rows.items() if n.startswith(("stem", "encoder", "top.raw"))}
        assert set(seen.values()) == {3} and set(called.times.values()) == {1}
        assert {k for n, k in called.rows.items() if n not in seen} == {15}
        totals.append(called.times.total())
        called.times.clear()
        vae.sample(2)
        assert not any(n.startswith(("stem", "encoder", "top.raw")) for n in called.times)
        assert set(called.times.values()) == {1}
    assert totals[2] - totals[1] == totals[1] - totals[0] > 0


def test_few_latents_go_through_at_a_time() -> None:
    network, rows = deep(2), []
    network.ends.register_forward_hook(lambda m, given, out: rows.append(len(given[0])))
    network.rows = 7
    VAE(network).log_likelihood(torch.zeros(3, 1, 8, 8), samples=5)
    assert sum(rows) == 15 and max(rows) <= 7


def parameters(width: int, groups: list[int]) -> int:
    """Of one block, two cells in it and a level, 20 latents and scaled colours, by hand; without the top's start."""

    def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:  # with the norm of each output
        return outputs * (inputs * kernel**2 + 1 + bias)

    def gate(c: int) -> int:
        hidden = max(c // 16, 4)
        return 2 * c * hidden + hidden + c

    def up(a: int, b: int) -> int:
        skip = 3 * conv(a, b // 4, 1) + conv(a, b - 3 * (b // 4), 1) if a != b else 0
        return 2 * a + conv(a, b, 3) + 2 * b + conv(b, b, 3) + gate(b) + skip

    def down(a: int, b: int, expansion: int) -> int:
        hidden = expansion * a
        skip = conv(a, b, 1, bias=False) if a != b else 0
        return 2 * a + a * hidden + 2 * hidden + 25 * hidden + 2 * hidden + hidden * b + 2 * b + gate(b) + skip

    total, w = conv(3, width, 3) + conv(width, 6, 3), 2 * width
    total += up(width, width) + up(width, w) + down(w, width, 3) + down(width, width, 3)
    for scale, n in enumerate(reversed(groups)):
        total += n * (2 * up(w, w) + 2 * down(w, w, 6) + conv(w, 40, 1) + conv(w, w, 1) + conv(w, 40, 3))
        total += n * conv(w + 20, w, 1)
        if scale < len(groups) - 1:
            total += up(w, 2 * w) + down(2 * w, w, 6)
            w *= 2
    # The top has neither decoder cells nor a prior; its own 1x1 convolution is in the place of `beside`.
    return total - 2 * down(w, w, 6) - conv(w, 40, 1)


@pytest.mark.parametrize(
    ("size", "width", "groups", "count"),
    [
        (32, 128, [30], 129_107_204),
        (64, 48, [5, 5, 5], 64_186_972),
        (256, 32, [4, 4, 4, 4, 4], 363_189_632),
        (32, 4, [2, 2], 81_044),
    ],
)
def test_the_parameters_of_the_published_settings(size, width, groups, count) -> None:
    """Without the flows of the 256-pixel one."""
    with torch.device("meta"):
        network = NVAENetwork(size, 3, width, groups, scaled=True)
    start = (width << len(groups)) * (size >> len(groups)) ** 2
    assert sum(p.numel() for p in network.parameters()) == parameters(width, groups) + start == count


def test_a_size_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"size: 3 scales and blocks: 1 halve images 3 times.*of 8, got \[28, 28\]"):
        NVAENetwork(28, groups=(1, 1, 1))
    assert NVAENetwork(28, 1, 2, (1, 1)).maps[0] == (20, 7, 7)
    assert NVAENetwork((8, 12), 1, 2, (1, 1)).maps[0] == (20, 2, 3)


def test_every_tensor_of_a_flowing_network_learns() -> None:
    network = seeded({**NVAE_N, "flows": 1}).train()
    vae = VAE(network)
    eps = [torch.randn(4, dim) for dim in network.latent_dims]
    bound = vae.bound(torch.rand(4, 1, 8, 8).round(), eps, vae.latent_prior.mixture(network).log_density)
    bound.log_weight.sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []

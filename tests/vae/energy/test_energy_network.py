"""The five energies: the authors' outputs, their sizes, and a start from data that happens once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genkit.core import catalog
from genkit.core.errors import DataError, RecipeError
from genkit.core.papers import papers_of
from genkit.core.pretrained import Pretrained
from genkit.vae.energy.energy_network import PLANS, EnergyNetwork
from genkit.vae.energy.weight_norm import SPREAD, WeightNormConv2d, convolved
from tests.contracts.specs import ENERGY_N, NETWORKS, seeded
from tests.vae.energy.fixtures import NETWORKS as FOLDERS
from tests.vae.energy.fixtures import assert_energies, assert_gradient, recorded

SIZES = {  # millions of parameters, and convolutions, at the paper's widths
    "mnist": (64, 1, 0.68, 11),
    "cifar10": (128, 3, 5.14, 16),
    "celeba64": (64, 3, 4.34, 22),
    "lsun64": (64, 3, 5.81, 26),
    "celeba256": (64, 3, 14.2, 31),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_energies_and_their_gradients_are_the_authors(name):
    r = recorded(name)
    network, x = r.network(), r.io["x"].requires_grad_()
    energy = network(x)
    assert_energies(energy.detach(), r.io["energy"])
    assert_gradient(torch.autograd.grad(energy.sum(), x)[0], r.io["dE_dx"])
    assert sum(p.numel() for p in network.parameters()) == r.config["parameters"]
    assert len(network.weights()) == r.config["n_conv"]


@pytest.mark.parametrize("plan", PLANS)
def test_sizes_are_those_of_the_paper(plan):
    width, channels, millions, convolutions = SIZES[plan]
    with torch.device("meta"):
        network = EnergyNetwork(plan, 64, channels, width)
    count = sum(p.numel() for p in network.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.05 if millions > 10 else 0.005)
    assert len(network.weights()) == convolutions


def whole(conv, x):
    """The convolution of x before means over 2x2 are taken."""
    return convolved(x, conv.weight, conv.bias).detach()


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("kernel", "side"), [(3, 8), (3, 7), (1, 8), (1, 7), (3, 2), (1, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_pooled_convolution_is_the_mean_of_the_whole_one(pooled, kernel, side, layout):
    torch.manual_seed(0)
    conv, x = WeightNormConv2d(3, 4, kernel, pooled=pooled).double(), torch.randn(2, 3, side, side).double()
    conv.to(memory_format=layout)
    plain = F.conv2d(x, conv.weight, conv.bias, padding=kernel // 2)
    expected = F.avg_pool2d(plain, 2) if pooled else plain
    torch.testing.assert_close(conv(x), expected)
    weights = list(conv.parameters())
    gradients = [torch.autograd.grad(out.square().sum(), weights, retain_graph=True) for out in (conv(x), expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("plan", PLANS)
def test_every_convolution_is_started_by_what_comes_out_of_those_before(plan):
    """The authors' recording of this (`data_init/*`) holds tensors of after the weights were drawn anew."""
    torch.manual_seed(0)
    network, x, seen = EnergyNetwork(plan, 64, 1, 4), torch.rand(8, 1, 64, 64), []
    network.start(x)
    for conv in network.modules():
        if isinstance(conv, WeightNormConv2d):
            conv.register_forward_pre_hook(
                lambda conv, given: seen.append((conv.bias is not None, whole(conv, *given)))
            )
    network(x)
    assert len(seen) == len(network.weights())
    for biased, out in seen:
        torch.testing.assert_close(out.std((0, 2, 3)), torch.full((out.shape[1],), 1 / SPREAD), rtol=1e-2, atol=0)
        assert not biased or out.mean((0, 2, 3)).abs().max() < 1e-4


def test_started_convolutions_have_mean_zero_and_the_spread_asked_for():
    torch.manual_seed(0)
    conv, x = WeightNormConv2d(2, 3, 3), torch.rand(16, 2, 8, 8)
    conv.start(x)
    out = conv(x)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(out.std((0, 2, 3)), torch.full((3,), 1 / SPREAD), rtol=1e-4, atol=0)


def test_a_weight_has_the_norm_that_is_said():
    conv = WeightNormConv2d(2, 3, 3)
    conv.log_norm.data.copy_(torch.tensor([-1.0, 0.0, 2.0]).view(3, 1, 1, 1))
    norms = conv.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.tensor([-1.0, 0.0, 2.0]).exp(), rtol=1e-4, atol=0)


def test_loaded_weights_are_never_started_again(tmp_path):
    """The authors' flag is no part of their checkpoints, so that a first forward pass overwrites what was loaded."""
    torch.manual_seed(0)
    network = EnergyNetwork("mnist", 8, 1, 2)
    assert not network.started
    fresh = network.state_dict()["stem.log_norm"].clone()
    network.start(torch.rand(4, 1, 8, 8))
    assert not network.state_dict()["stem.log_norm"].equal(fresh)
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    again.start(5 * torch.rand(4, 1, 8, 8))
    assert all(a.equal(b) for a, b in zip(again.state_dict().values(), network.state_dict().values(), strict=True))


def test_a_start_that_fails_can_be_made_again():
    network = EnergyNetwork("mnist", 8, 1, 2)
    with pytest.raises(DataError):
        network.start(torch.rand(4, 3, 8, 8))
    assert not network.started and not network.stem._forward_pre_hooks
    network.start(torch.rand(4, 1, 8, 8))
    assert network.started


@pytest.mark.parametrize("spec", NETWORKS["energy_network"], ids=lambda s: f"{s['plan']}-{s.get('norm', 'weight')}")
def test_one_energy_an_image_whatever_its_batch(spec, tmp_path):
    network = seeded(spec).eval()
    x = torch.rand(3, *network.sample_shape)
    energies = network(x)
    assert energies.shape == (3,) and energies.isfinite().all() and energies.std() > 0
    torch.testing.assert_close(network(x[1:2]), energies[1:2])
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    assert again(x).equal(energies)


def test_spectral_norms_are_one_and_the_linear_layer_is_free():
    torch.manual_seed(0)
    network = EnergyNetwork("cifar10", 8, 1, 4, norm="spectral")
    for _ in range(100):
        network(torch.rand(1, 1, 8, 8))
    for weight in network.eval().weights():
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-2)
    network.start(torch.rand(1, 1, 8, 8))
    assert type(network.head) is torch.nn.Linear
    assert "miyato2018spectral" in papers_of(network.config) and "miyato2018spectral" not in papers_of(ENERGY_N)


def test_images_of_another_shape_and_unknown_plans_are_refused():
    with pytest.raises(DataError, match=r"this energy is of images \(B, 1, 8, 8\), got \(2, 3, 8, 8\)"):
        seeded(ENERGY_N)(torch.rand(2, 3, 8, 8))
    with pytest.raises(RecipeError, match="plan"):
        catalog.build({**ENERGY_N, "plan": "cifar100"})
    with pytest.raises(RecipeError, match=r"size: the plan celeba256 halves images down from at least 64 .*, got 32"):
        catalog.build({**ENERGY_N, "plan": "celeba256", "size": 32})

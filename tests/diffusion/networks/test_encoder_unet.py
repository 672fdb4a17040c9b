from __future__ import annotations

import pytest
import torch

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.core.pretrained import Pretrained
from genkit.diffusion.networks.unet_plan import EncoderPlan
from tests.diffusion.networks.test_unet import TINY, moved

POOLS = ["attention", "adaptive", "spatial", "spatial_v2"]


def encoder(**arguments):
    return catalog.build({"type": "encoder_unet", **TINY, "classes": 5, **arguments}, kind="networks")


@pytest.mark.parametrize("change", [*({"pool": pool} for pool in POOLS), {"patch": 2, "attention": [4]}], ids=str)
def test_logits_and_round_trip(change, tmp_path):
    network = moved(encoder(**change))
    x, t = torch.randn(3, 3, 16, 16), torch.tensor([0.0, 41.5, 999.0])
    logits = network(x, t)
    assert logits.shape == (3, 5) and (logits[0] - logits[1]).abs().max() > 1e-3
    torch.testing.assert_close(network(x[1:2], t[1:2]), logits[1:2], rtol=1e-4, atol=1e-4)
    assert (network(x, t + 0.5) - logits).abs().max() > 1e-4
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x, t), logits, rtol=0, atol=0)


@pytest.mark.parametrize("pool", POOLS)
def test_the_gradient_by_the_image_needs_no_parameters(pool):
    network = moved(encoder(pool=pool))
    t = torch.tensor([3.0, 500.0])
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    (expected,) = torch.autograd.grad(network(x, t)[:, 1].sum(), x)
    network.requires_grad_(False)
    (gradient,) = torch.autograd.grad(network(x, t)[:, 1].sum(), x)
    torch.testing.assert_close(gradient, expected)
    assert expected.abs().max() > 1e-4 and all(parameter.grad is None for parameter in network.parameters())


def test_every_parameter_counts():
    for pool in POOLS:
        network = moved(encoder(pool=pool))
        network(torch.randn(2, 3, 16, 16), torch.tensor([3.0, 500.0])).square().sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_only_the_mean_pool_starts_at_zero():
    """As published: the attention pool's projection is not zero."""
    x, t = torch.randn(2, 3, 16, 16), torch.zeros(2)
    assert {pool: bool(encoder(pool=pool)(x, t).any()) for pool in POOLS} == {p: p != "adaptive" for p in POOLS}


def test_the_widths_of_all_maps():
    plan = EncoderPlan(size=16, width=16, multipliers=[1, 2, 3], blocks=2, attention=[], head_width=8)
    assert plan.map_widths == [16, 16, 16, 16, 32, 32, 32, 48, 48, 48]


@pytest.mark.parametrize("pool", POOLS)
def test_one_level_is_a_network_too(pool):
    network = encoder(pool=pool, multipliers=[1], attention=[16])
    assert network(torch.randn(2, 3, 16, 16), torch.zeros(2)).shape == (2, 5)


def test_one_class_and_heads_that_do_not_divide_are_refused():
    with pytest.raises(RecipeError, match="classes"):
        encoder(classes=1)
    with pytest.raises(RecipeError, match="head_width: 12 does not divide 32 channels"):
        encoder(heads=2, head_width=12)


@pytest.mark.parametrize("key", ["decoder_heads", "variance", "unlabelled"])
def test_what_only_a_decoder_has_is_refused(key):
    with pytest.raises(RecipeError, match=f"{key}: unknown key"):
        encoder(**{key: 1})

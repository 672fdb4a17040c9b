"""Promises of every generator network, critic and classifier: shapes, ranges, labels, round trips, derivatives."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from genkit.core import catalog
from genkit.core.errors import ConditionError, GenkitError, RecipeError
from genkit.core.pretrained import Pretrained
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.dcgan import DCGANCritic, DCGANGenerator
from genkit.gan.networks.latent import LatentNetwork
from genkit.gan.networks.resnet_gan import ResNetCritic
from tests.contracts.specs import UNET2D

IMAGES = [
    {"size": size, "channels": channels, "classes": classes, "width": 4}
    for size, channels, classes in product((28, 32, 48, 64), (1, 3), (0, 10))
]
POINTS = [{"dims": dims, "classes": classes, "width": 8} for dims, classes in product((2, 3), (0, 10))]
GENERATORS = [
    {"type": name, "latent_dim": 6, **arguments}
    for name, choices in (("dcgan_generator", IMAGES), ("resnet_generator", IMAGES), ("mlp_generator", POINTS))
    for arguments in choices
] + [{"type": "dcgan_generator", "latent_dim": 6, "width": 4, "norm": "none"}]
CRITICS = [
    {"type": name, **arguments}
    for name, choices in (("dcgan_critic", IMAGES), ("resnet_critic", IMAGES), ("mlp_critic", POINTS))
    for arguments in choices
] + [
    {"type": name, "size": 28, "channels": 1, "width": 4, "classes": classes, **arguments}
    for name in ("dcgan_critic", "resnet_critic")
    for classes in (0, 10)
    for arguments in ({"norm": "batch"}, {"norm": "layer"}, {"spectral_norm": True})
]


def show(spec: dict[str, object]) -> str:
    return "-".join(map(str, spec.values()))


def moved(network: nn.Module) -> nn.Module:
    """`network` with every tensor away from its initial value, so that a tensor that is not restored shows."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data += 0.1 * torch.rand_like(tensor)
    return network.eval()


def label(network: LatentNetwork | Critic, n: int) -> dict[str, Tensor] | None:
    return {"label": torch.arange(n) % network.classes} if network.classes else None


@pytest.mark.parametrize("spec", GENERATORS, ids=show)
def test_generator_network(spec, tmp_path):
    network = moved(catalog.build(spec, kind="networks"))
    z = torch.randn(3, network.latent_dim)
    x = network(z, label(network, 3))
    assert x.shape == (3, *network.sample_shape) and x.dtype == torch.float32
    assert len(network.sample_shape) == 1 or x.abs().max() <= 1
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    assert type(again) is type(network) and again.config == network.config
    torch.testing.assert_close(again(z, label(network, 3)), x, rtol=0, atol=0)


@pytest.mark.parametrize("spec", CRITICS, ids=show)
def test_critic(spec, tmp_path):
    network = moved(catalog.build(spec, kind="networks"))
    x, y = torch.randn(3, *network.sample_shape), label(network, 3)
    scores, h = network(x, y), network.features(x)
    assert scores.shape == (3,) and h.shape == (3, network.feature_dim)
    expected = network.head(h).squeeze(1)
    if y is not None:
        expected = expected + torch.einsum("bf,bf->b", network.embedding(y["label"]), h)
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(network.score(h, y), scores)
    again = Pretrained.from_pretrained(network.save_pretrained(tmp_path))
    torch.testing.assert_close(again(x, y), scores, rtol=0, atol=0)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "mlp_generator", "latent_dim": 4, "classes": 3},
        {"type": "dcgan_generator", "latent_dim": 4, "width": 4, "classes": 3},
        {"type": "resnet_generator", "latent_dim": 4, "size": 8, "width": 4, "classes": 3},
    ],
    ids=show,
)
def test_generator_labels_matter_and_are_needed(spec):
    network = moved(catalog.build(spec))
    z = torch.randn(1, 4).expand(3, 4)
    x = network(z, {"label": torch.tensor([0, 1, 1])})
    assert (x[0] - x[1]).abs().max() > 1e-4
    torch.testing.assert_close(x[1], x[2], rtol=0, atol=1e-6)
    with pytest.raises(ConditionError, match="label"):
        network(z)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_settings_of_diffusers_are_finite(value):
    """Their hints say nothing of it."""
    with pytest.raises(RecipeError, match=r"settings\.norm_eps: input should be a finite number"):
        catalog.build({"type": "diffusers_unet", "settings": {**UNET2D, "norm_eps": value}})


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "mlp_critic", "classes": 3},
        {"type": "dcgan_critic", "width": 4, "classes": 3},
        {"type": "resnet_critic", "size": 8, "width": 4, "classes": 3},
    ],
    ids=show,
)
def test_critic_labels_matter_and_are_needed(spec):
    network = catalog.build(spec)
    x = torch.randn(1, *network.sample_shape).expand(3, *network.sample_shape)
    scores = network(x, {"label": torch.tensor([0, 1, 1])})
    assert abs(scores[0] - scores[1]) > 1e-6 and abs(scores[1] - scores[2]) < 1e-6
    with pytest.raises(ConditionError, match="label"):
        network(x)


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "mlp_critic", "width": 6, "depth": 2, "classes": 2},
        *(
            {"type": name, "size": 8, "channels": 1, "width": 2, **arguments}
            for name in ("dcgan_critic", "resnet_critic")
            for arguments in ({"classes": 2}, {"norm": "layer"}, {"norm": "batch"}, {"spectral_norm": True})
        ),
    ],
    ids=show,
)
def test_penalty_gradient_is_that_of_finite_differences(spec):
    """The gradient of a gradient's norm by every weight, against central differences along one random direction."""
    critic = catalog.build(spec).double()
    # Spectral norm iterates on every training pass, so its differences are taken where it stands still.
    critic.train(mode="spectral_norm" not in spec)
    x = torch.randn(4, *critic.sample_shape, dtype=torch.float64)

    def penalty() -> Tensor:
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(leaf, label(critic, 4)).sum(), leaf, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    weights = list(critic.parameters())
    gradients = torch.autograd.grad(penalty(), weights, allow_unused=True)
    directions = [torch.randn_like(w) for w in weights]
    expected = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
    values = []
    for step in (1e-6, -2e-6):
        for weight, direction in zip(weights, directions, strict=True):
            weight.data += step * direction
        values.append(penalty())
    assert abs(expected) > 1e-4
    torch.testing.assert_close((values[0] - values[1]) / 2e-6, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "make", [lambda: DCGANCritic(width=4, dropout=0.5), lambda: ResNetCritic(8, width=4, dropout=(0.2, 0.5))]
)
def test_dropout_is_active_in_eval_mode(make):
    critic = make().eval()
    x = torch.randn(2, *critic.sample_shape)
    assert not torch.equal(critic(x), critic(x))
    torch.manual_seed(1)
    first = critic(x)
    torch.manual_seed(1)
    assert torch.equal(critic.score(critic.features(x)), first)


def test_dropout_rates_belong_to_the_last_blocks():
    critic = ResNetCritic(dropout=(0.2, 0.5, 0.5), width=4)
    assert [dropout.rate for dropout in critic.dropouts] == [0.0, 0.2, 0.5, 0.5]


@pytest.mark.parametrize(
    "make", [lambda: DCGANCritic(width=8, spectral_norm=True), lambda: ResNetCritic(8, spectral_norm=True)]
)
def test_spectral_norm_bounds_every_weight(make):
    critic = make()
    for _ in range(30):
        critic(torch.randn(2, *critic.sample_shape))
    weights = [m.weight.flatten(1) for m in critic.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(weights) > 3
    for weight in weights:
        assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "dcgan_generator", "latent_dim": 8, "size": 7}, "size"),
        ({"type": "dcgan_generator", "latent_dim": 0}, "latent_dim"),
        ({"type": "dcgan_generator"}, "latent_dim"),
        ({"type": "dcgan_critic", "norm": "instance"}, "norm"),
        ({"type": "dcgan_critic", "dropout": 1.0}, "dropout"),
        ({"type": "dcgan_critic", "classes": 1}, "classes: 0"),
        ({"type": "resnet_generator", "latent_dim": 8, "size": 36}, "nearest 32, accepted 8, 10, 12"),
        ({"type": "resnet_critic", "size": 30}, "nearest 28"),
        ({"type": "resnet_critic", "dropout": [0.1] * 9}, "at most 4 rates"),
        ({"type": "resnet_critic", "dropout": [1.5]}, "dropout"),
        ({"type": "resnet_critic", "width": 10**9}, "width"),
        ({"type": "mlp_critic", "depth": 0}, "depth"),
        ({"type": "classifier", "classes": 3, "class_names": ["a"]}, "3 names"),
        ({"type": "attribute_predictor", "attributes": {}}, "attributes: name at least one"),
        ({"type": "attribute_predictor", "attributes": ["hue"]}, "attributes: needs names with what each one is"),
        (
            {"type": "attribute_predictor", "attributes": {"hue": {"type": "value"}}},
            "attributes.hue.type: unknown.*value",
        ),
        ({"type": "attribute_predictor", "attributes": {"a": {"type": "labels", "classes": 2}}, "size": 12}, "of 8"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_impossible_arguments_are_refused_in_one_line(spec, message):
    with pytest.raises(RecipeError, match=message) as refusal:
        catalog.build(spec, kind="networks")
    assert "\n" not in str(refusal.value) and isinstance(refusal.value, GenkitError)


@pytest.mark.parametrize("make", [lambda: DCGANGenerator(4, size=7), lambda: ResNetCritic(size=30)])
def test_sizes_are_refused_without_the_catalog(make):
    with pytest.raises(RecipeError, match="accepted"):
        make()

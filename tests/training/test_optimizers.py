from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from genkit.core import catalog
from genkit.core.errors import RecipeError
from genkit.training.optimizers import Optimizer
from tests.shared import shared

SPECS = [
    ({"type": "adam", "lr": "1e-2", "betas": [0.0, 0.9], "weight_decay": 0.1}, torch.optim.Adam),
    ({"type": "adamw", "lr": 0.01, "eps": 1e-6}, torch.optim.AdamW),
    ({"type": "adamax", "lr": 0.01, "betas": [0.8, 0.9], "eps": 1e-3, "weight_decay": 0.1}, torch.optim.Adamax),
    ({"type": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, torch.optim.SGD),
]


@pytest.mark.parametrize(("spec", "kind"), SPECS, ids=[s["type"] for s, _ in SPECS])
def test_arguments_reach_torch(spec: dict, kind: type[torch.optim.Optimizer]) -> None:
    rule = catalog.convert(Optimizer, spec)
    mine, theirs = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    arguments = {k: v for k, v in spec.items() if k != "type"} | {"lr": 0.01}
    optimizers = rule.over([mine]), kind([theirs], **arguments)
    assert type(optimizers[0]) is kind
    for _ in range(3):
        for parameter, optimizer in zip((mine, theirs), optimizers, strict=True):
            parameter.grad = torch.tensor([1.0, -2.0, 3.0]) * parameter.detach()
            optimizer.step()
    torch.testing.assert_close(mine, theirs)
    assert not mine.equal(torch.ones(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0}, r"o\.lr: .*greater than 0"),
        ({"lr": "fast"}, r"o\.lr"),
        ({"betas": [0.9, 1.0]}, r"o\.betas\[1\]"),
        ({"beta": 1}, r"o\.beta: unknown key; did you mean 'betas'"),
        ({"clip_norm": -1}, r"o\.clip_norm"),
        ({"schedule": {"type": "linear", "floor": 2}}, r"o\.schedule\.floor"),
        ({"type": "mlp_critic"}, r"o: 'mlp_critic' does not make an Optimizer; accepted: adam"),
    ],
)
def test_wrong_arguments_are_refused_by_key(change: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        catalog.convert(Optimizer, {"type": "adam", "lr": 0.1, **change}, where="o")


@pytest.mark.parametrize("folder", ["wd0", "wd"])
def test_adam_on_normalised_gradients_steps_as_the_authors_does(folder: str) -> None:
    place = shared("fixtures", "exemplar_vae", "adam_norm_grad")
    io, settings = load_file(place / "io.safetensors"), json.loads((place / "config.json").read_text())[folder]
    rule = catalog.convert(Optimizer, {"type": "adam_norm_grad", **settings})
    parameters = [nn.Parameter(io[f"{folder}/p{i}/init"].clone()) for i in range(2)]
    optimizer = rule.over(parameters)
    for step in range(3):
        for i, parameter in enumerate(parameters):
            parameter.grad = io[f"{folder}/p{i}/grad{step}"].clone()
        optimizer.step()
        for i, parameter in enumerate(parameters):
            torch.testing.assert_close(parameter.detach(), io[f"{folder}/p{i}/after{step}"], rtol=1e-5, atol=1e-6)


def test_eps_of_normalised_gradients_is_epsilon_hat() -> None:
    """Kingma & Ba 2015, section 2: theta -= alpha sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)."""
    rule = catalog.convert(Optimizer, {"type": "adam_norm_grad", "lr": 0.01, "eps": 0.02, "weight_decay": 0.1})
    rng = torch.Generator().manual_seed(0)
    values = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    parameter, late = nn.Parameter(values.clone()), nn.Parameter(values.clone())
    optimizer = rule.over([parameter, late])
    for p, first in ((parameter, 1), (late, 3)):
        want, m, v = values, torch.zeros_like(values), torch.zeros_like(values)
        for t in range(1, 6):
            g = torch.randn(5, 3, generator=rng, dtype=torch.float64)
            if t >= first:
                p.grad = g.clone()
                g, s = g / (g.norm() + 1e-7) + 0.1 * want, t - first + 1
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g.square()
                want = want - 0.01 * (1 - 0.999**s) ** 0.5 / (1 - 0.9**s) * m / (v.sqrt() + 0.02)
            optimizer.step()
        torch.testing.assert_close(p.detach(), want, rtol=0, atol=1e-14)
        p.grad = None


def test_the_length_of_a_normalised_gradient_does_not_matter() -> None:
    rule, ends = catalog.convert(Optimizer, {"type": "adam_norm_grad", "lr": 0.1}), []
    for scale in (1.0, 1000.0):
        parameter, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
        optimizer = rule.over([parameter, unused])
        for size in (1.0, 5.0):
            parameter.grad = torch.tensor([1.0, -2.0, 3.0]) * scale * size
            optimizer.step()
        ends.append(parameter.detach())
        assert unused.equal(torch.ones(2))
    torch.testing.assert_close(ends[0], ends[1])

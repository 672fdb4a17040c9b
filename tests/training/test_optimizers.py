from __future__ import annotations

import pytest
import torch
from torch import nn

from genkit import catalog
from genkit.errors import RecipeError
from genkit.training.optimizers import Optimizer

SPECS = [
    ({"type": "adam", "lr": "1e-2", "betas": [0.0, 0.9], "weight_decay": 0.1}, torch.optim.Adam),
    ({"type": "adamw", "lr": 0.01, "eps": 1e-6}, torch.optim.AdamW),
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
        ({"type": "mlp_critic"}, r"o\.lr: unknown key"),
    ],
)
def test_wrong_arguments_are_refused_by_key(change: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        catalog.convert(Optimizer, {"type": "adam", "lr": 0.1, **change}, where="o")

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.arithmetic import rehearsed
from genkit.training import cost, rehearsal
from genkit.training.shape_memory import ShapeMemory

META = torch.device("meta")


class Asked(TorchDispatchMode):
    """Counts what comes through to torch, beside the making of what was remembered."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is not torch.ops.aten.empty_strided.default
        return func(*args, **(kwargs or {}))


def gradients(network: nn.Module) -> list[Any]:
    x = torch.empty(5, 3, 8, 8, device=META, requires_grad=True)
    y = network(x)
    found = [y, *torch.autograd.grad(y.square().mean(), [x, *network.parameters()])]
    return [(t.shape, t.stride(), t.dtype) for t in found]


def network() -> nn.Module:
    with META:
        layers = [nn.Conv2d(3, 4, 3, stride=2), nn.GroupNorm(2, 4), nn.SiLU(), nn.Dropout(), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(36, 2).to(torch.bfloat16).float()).to(memory_format=torch.channels_last)


def test_remembered_shapes_are_torchs_and_torch_is_asked_once() -> None:
    made = network()
    want = gradients(made)
    with Asked() as asked:
        with ShapeMemory():
            assert gradients(made) == want
        first, asked.count = asked.count, 0
        with ShapeMemory():
            assert gradients(made) == want
    assert asked.count < first / 2, "only views come through again"


@pytest.mark.parametrize(
    "ask", [Tensor.item, bool, Tensor.tolist, Tensor.nonzero, Tensor.cpu, lambda x: x + torch.ones(1)]
)
def test_what_is_refused_stays_refused(ask: Callable[[Tensor], object]) -> None:
    with ShapeMemory():
        for _ in range(2):
            with pytest.raises((RuntimeError, NotImplementedError)):
                ask(torch.empty(1, device=META))


def test_what_changes_a_shape_in_place_still_does() -> None:
    with ShapeMemory():
        for _ in range(2):
            x = torch.empty(2, 3, device=META)
            assert x.t_().shape == (3, 2) and x.mul_(2) is x and x.resize_(7).shape == (7,)
            assert x.view(7, 1)._base is x


def test_numbers_of_a_call_count() -> None:
    with ShapeMemory():
        x = torch.empty(2, 3, device=META, dtype=torch.int64)
        assert [(x.sum(d).shape, (x * f).dtype) for d, f in ((0, 1), (1, 1.0))] == [
            ((3,), torch.int64),
            ((2,), torch.float32),
        ]


def test_the_arithmetic_of_a_recipe_is_the_same_without(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for memory in (ShapeMemory, nullcontext):
        for module in (cost, rehearsal):
            monkeypatch.setattr(module, "ShapeMemory", memory)
        found.append([cost.cost_of(trainer) for _, _, trainer in rehearsed("fashion_mnist/vaebm")])
    assert found[0] == found[1]

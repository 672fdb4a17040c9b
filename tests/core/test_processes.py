"""Two processes with half a batch each are one with the whole: batch norm, dropout, noise of networks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genkit.core.errors import RecipeError
from genkit.core.processes import _Mean, common_noise, dropout, my_rows, network_normal, shared_noise, synchronise
from genkit.gan.networks.token_norm import TokenBatchNorm
from genkit.layers.norm import untracked
from tests.training.tiny import on_processes

NORMS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "1d": (lambda: nn.BatchNorm1d(3), (8, 3)),
    "1d, of sequences": (lambda: nn.BatchNorm1d(3), (8, 3, 5)),
    "2d": (lambda: nn.BatchNorm2d(3), (8, 3, 4, 5)),
    "3d": (lambda: nn.BatchNorm3d(3), (8, 3, 2, 2, 2)),
    "plain means": (lambda: nn.BatchNorm2d(3, momentum=None), (8, 3, 4, 4)),
    "without affine": (lambda: nn.BatchNorm2d(3, affine=False), (8, 3, 4, 4)),
    "without statistics": (lambda: nn.BatchNorm2d(3, track_running_stats=False), (8, 3, 4, 4)),
    "of tokens": (lambda: TokenBatchNorm(3), (8, 5, 3)),
}


def trained(name: str, part: Any = lambda x: x) -> dict[str, Tensor]:
    """Two steps of a norm between two layers, on rows with a large mean: outputs, gradients, statistics."""
    make, shape = NORMS[name]
    torch.manual_seed(1)
    norm = make()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    synchronise(norm)
    x = part(100 + 10 * torch.randn(shape)).requires_grad_(True)
    target = part(torch.randn(shape))
    for _ in range(2):
        y = norm(x)
        (y * target + y.square() * target.sin()).flatten(1).sum(1).mean().backward()
    with untracked(norm):
        norm(x)
    found = {"y": y.detach(), "x": x.grad, **{k: p.grad for k, p in norm.named_parameters()}}
    return found | {k: v for k, v in norm.state_dict().items() if "running" in k or "tracked" in k}


def check_norms(folder: Path) -> None:
    for name in NORMS:
        found = trained(name, my_rows)
        torch.save(found, folder / f"{name}-{os.environ['RANK']}.pt")


def test_batch_norms_are_of_the_whole_batch_with_its_gradients(tmp_path: Path) -> None:
    assert on_processes(2, check_norms, tmp_path, tmp_path) == [0, 0]
    for name in NORMS:
        one = trained(name)
        two = [torch.load(tmp_path / f"{name}-{rank}.pt", weights_only=True) for rank in range(2)]
        for key, value in one.items():
            if key == "y":
                got = torch.cat([part[key] for part in two])
            elif key == "x":  # each process has the mean of its own half
                got = torch.cat([part[key] for part in two]) / 2
            elif key in ("weight", "bias"):
                got = (two[0][key] + two[1][key]) / 2
            else:
                assert two[0][key].equal(two[1][key]), f"{name}: {key} differs between processes"
                got = two[0][key]
            torch.testing.assert_close(
                got, value, rtol=1e-4, atol=1e-5, msg=lambda m, at=f"{name}: {key}": f"{at}: {m}"
            )


def test_a_batch_norm_alone_is_torchs() -> None:
    for make, shape in NORMS.values():
        plain, x = make(), torch.randn(shape)
        ours = make()
        synchronise(ours)
        assert ours(x).equal(plain(x)) and isinstance(ours, type(plain))
        assert all(a.equal(b) for a, b in zip(ours.buffers(), plain.buffers(), strict=True))


def test_a_batch_norm_of_another_kind_is_refused() -> None:
    class Own(nn.BatchNorm2d):
        """Normalises in its own way."""

    with pytest.raises(RecipeError, match="Own would normalise the samples of each process by themselves"):
        synchronise(nn.Sequential(Own(2)))
    synchronise(nn.SyncBatchNorm(2))


def check_second_derivative() -> None:
    rank = int(os.environ["RANK"])
    x = torch.tensor([1.0 + rank], requires_grad=True)
    (first,) = torch.autograd.grad(_Mean.apply(x.pow(3)).sum(), x, create_graph=True)  # type: ignore[attr-defined]
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(first.detach(), 3 * x.detach().square())
    torch.testing.assert_close(second, 6 * x.detach())


def test_the_mean_over_processes_has_a_second_derivative(tmp_path: Path) -> None:
    assert on_processes(2, check_second_derivative, tmp_path) == [0, 0]


LAYOUTS = {
    "contiguous": lambda: torch.randn(8, 4, 5, 5),
    "channels last": lambda: torch.randn(8, 4, 5, 5).to(memory_format=torch.channels_last),
    "rows inside": lambda: torch.randn(5, 8, 7).transpose(0, 1),
    "half precision": lambda: torch.randn(8, 7).bfloat16(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_dropout_alone_is_torchs(layout: str) -> None:
    x = LAYOUTS[layout]()
    torch.manual_seed(3)
    ours = dropout(x, 0.3)
    torch.manual_seed(3)
    assert ours.equal(F.dropout(x, 0.3, training=True))
    assert dropout(x, 0.0) is x


def noise(part: Any = lambda x: x) -> list[Tensor]:
    found = []
    for layout in LAYOUTS:
        torch.manual_seed(2)
        x = part(LAYOUTS[layout]())
        torch.manual_seed(5)
        with shared_noise(5):
            layer = nn.Dropout(0.4)
            synchronise(layer)
            parts = [network_normal(x, 2).float(), network_normal(x, 5000).float(), layer(x).float()]
            same = common_noise(lambda rng: torch.rand((), generator=rng))
            parts += [dropout(x, 0.4).float(), same.expand(len(x))]
        found.append(torch.cat([p.flatten(1) if p.dim() > 1 else p[:, None] for p in parts], 1))
    return found


def check_noise(folder: Path) -> None:
    torch.save(noise(my_rows), folder / f"{os.environ['RANK']}.pt")


def test_noise_of_networks_is_that_of_one_process(tmp_path: Path) -> None:
    assert on_processes(2, check_noise, tmp_path, tmp_path) == [0, 0]
    halves = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for one, *two in zip(noise(), *halves, strict=True):
        assert torch.cat(two).equal(one)

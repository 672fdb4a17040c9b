"""Measures of the perceptual term: closed forms, features of a network, LPIPS of local files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from genkit.core.errors import RecipeError, WeightsError
from genkit.core.frozen import is_frozen
from genkit.gan.styleex.likeness import LayerFeatures, MultiScale, feature_distance
from genkit.gan.styleex.lpips import LPIPS


def images(seed: int, channels: int = 3, side: int = 32) -> Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_coarse_scales_see_no_checkerboard() -> None:
    board = torch.ones(1, 1, 8, 8)
    board[..., ::2, 1::2] = board[..., 1::2, ::2] = -1
    assert MultiScale(2)(board, -board) == 0
    assert MultiScale(2)(board * 0 + 0.25, board * 0) == 0.25
    with pytest.raises(RecipeError, match="12 pixels are not halved 3 times"):
        MultiScale(3).check((1, 12, 12))


def test_features_are_compared_by_direction() -> None:
    a, b = torch.tensor([[[[3.0]], [[4.0]]]]), torch.tensor([[[[4.0]], [[-3.0]]]])
    torch.testing.assert_close(feature_distance(a, b), torch.tensor(2.0))
    torch.testing.assert_close(feature_distance(a, 5 * a), torch.tensor(0.0))
    torch.testing.assert_close(feature_distance(a, b, torch.tensor([1.0, 0.0])), torch.tensor(0.04))
    torch.testing.assert_close(
        feature_distance(a[..., 0, 0], b[..., 0, 0], torch.tensor([0.0, 1.0])), torch.tensor(1.96)
    )
    dark = torch.zeros(1, 2, 1, 1, requires_grad=True)
    feature_distance(dark, b).backward()
    assert dark.grad is not None and dark.grad.isfinite().all(), "features are often all zero after a ReLU"


class Net(nn.Module):
    sample_shape = (3, 32, 32)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()).mean((2, 3))


def test_features_of_any_network() -> None:
    net, a, b = Net(), images(0), images(1)
    likeness = LayerFeatures(net, ["first", "second"])
    assert is_frozen(net)
    first, second = ((net.first(x), net.second(net.first(x).relu())) for x in (a, b))
    want = sum(feature_distance(p, q) for p, q in zip(first, second, strict=True))
    torch.testing.assert_close(likeness(a, b), want)
    assert not net.first._forward_hooks
    with pytest.raises(RecipeError, match="the network has no 'frist'; did you mean 'first'"):
        LayerFeatures(net, ["frist"])
    with pytest.raises(RecipeError, match="layers: name one at least"):
        LayerFeatures(net, [])
    with pytest.raises(RecipeError, match=r"it takes \[3, 32, 32\], but the generator makes \[1, 8, 8\]"):
        likeness.check((1, 8, 8))


WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}


def files(folder: Path, net: str) -> tuple[Path, Path, Any]:
    from torchvision import models

    torch.manual_seed(0)
    network = {"alex": models.alexnet, "vgg": models.vgg16}[net](weights=None).features
    linear = {f"lin{k}.model.1.weight": torch.rand(1, n, 1, 1) for k, n in enumerate(WIDTHS[net])}
    save_file({f"features.{k}": v for k, v in network.state_dict().items()}, folder / "net.safetensors")
    torch.save(linear, folder / "linear.pth")
    return folder / "net.safetensors", folder / "linear.pth", (network, list(linear.values()))


@pytest.mark.parametrize(("net", "channels", "side"), [("alex", 3, 64), ("vgg", 1, 32)])
def test_lpips_of_local_files(net: Any, channels: int, side: int, tmp_path: Path) -> None:
    """Against the formula, written out: activations after every ReLU before a pool or the end."""
    backbone, linear, (network, weights) = files(tmp_path, net)
    likeness, a, b = LPIPS(backbone, linear, net), images(0, channels, side), images(1, channels, side)
    ends = {"alex": [1, 4, 7, 9, 11], "vgg": [3, 8, 15, 22, 29]}[net]
    total = torch.zeros(2)
    x, y = (v.repeat(1, 4 - v.shape[1], 1, 1)[:, :3] if v.shape[1] == 1 else v for v in (a, b))
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(3, 1, 1)
    x, y = (x - shift) / scale, (y - shift) / scale
    for k, layer in enumerate(network):
        x, y = layer(x), layer(y)
        if k in ends:
            assert isinstance(layer, nn.ReLU)
            gap = (x / x.square().sum(1, True).sqrt().add(1e-10) - y / y.square().sum(1, True).sqrt().add(1e-10)) ** 2
            total += (gap * weights[ends.index(k)]).sum(1).mean((1, 2))
    torch.testing.assert_close(likeness(a, b), total.mean(), rtol=1e-4, atol=1e-6)
    assert likeness(a, a) == 0 and not any(p.requires_grad for p in likeness.parameters())
    a.requires_grad_()
    likeness(a, b).backward()
    assert a.grad is not None and a.grad.isfinite().all() and a.grad.abs().max() > 0


def test_lpips_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    backbone, linear, _ = files(tmp_path, "alex")
    with pytest.raises(WeightsError, match=r"net.safetensors does not hold torchvision's vgg16"):
        LPIPS(backbone, linear, "vgg")
    with pytest.raises(WeightsError, match=r"does not hold weights lin0.model.1.weight, ... of \[64, 192, "):
        LPIPS(backbone, backbone)
    with pytest.raises(WeightsError, match="is missing; give a checkpoint file"):
        LPIPS(tmp_path / "none.pth", linear)
    with pytest.raises(RecipeError, match="8 pixels are too few for its network"):
        LPIPS(backbone, linear).check((3, 8, 8))
    with pytest.raises(RecipeError, match="not of 2 channels"):
        LPIPS(backbone, linear).check((2, 64, 64))
    torch.save(Path("code"), tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="refused: its pickle holds more than tensors"):
        LPIPS(tmp_path / "code.pth", linear)

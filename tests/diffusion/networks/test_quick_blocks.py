"""The quick blocks answer and learn as diffusers' own do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import UNet2DModel
from diffusers.models.attention_processor import Attention
from torch import nn

from genkit.diffusion.networks import group_norm
from genkit.diffusion.networks.quick_blocks import MapAttention, QuickResidual, QuickUpsample, quick_layout, quicken

SETTINGS: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 2,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attn_norm_num_groups": 4,
    "attention_head_dim": 4,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}
RESIDUAL = {"downsample_type": "resnet", "upsample_type": "resnet", "resnet_time_scale_shift": "scale_shift"}
RESIDUAL |= {"down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"]}
RESIDUAL |= {"up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D"]}


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_norm, "SMALL", 0)


@pytest.mark.parametrize(
    "more",
    [
        {},
        RESIDUAL,
        {"mid_block_scale_factor": 2.0, "downsample_padding": 0, "norm_eps": 1e-3, "num_class_embeds": 3},
    ],
)
@pytest.mark.parametrize("batch", [3, 65])
def test_as_diffusers(more: dict[str, Any], batch: int) -> None:
    """65: diffusers leaves the layout for batches of 64 and more."""
    torch.manual_seed(0)
    plain = UNet2DModel(**{**SETTINGS, **more}).train()
    quick = UNet2DModel(**{**SETTINGS, **more}).train()
    quicken(quick)
    quick.load_state_dict(plain.state_dict())
    x, t = torch.randn(batch, 1, 8, 8), torch.arange(batch) * 9
    label = torch.arange(batch) % 3 if "num_class_embeds" in more else None
    outputs = []
    for unet, shown in ((plain, x), (quick, quick_layout(x))):
        y = unet(shown, t, class_labels=label).sample
        y.square().sum().backward()
        outputs.append(y)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    theirs = {name: parameter.grad for name, parameter in plain.named_parameters()}
    scale = max(gradient.abs().max() for gradient in theirs.values())
    for name, parameter in quick.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name], rtol=1e-3, atol=1e-5 * scale)


def test_blocks_are_replaced() -> None:
    for settings, upsamplers in (({**SETTINGS, **RESIDUAL}, 1), (SETTINGS, 1)):
        unet = UNet2DModel(**settings)
        quicken(unet)
        kinds = [type(part) for part in unet.modules()]
        assert QuickResidual in kinds and kinds.count(QuickUpsample) == upsamplers and nn.GroupNorm not in kinds
        attentions = [part for part in unet.modules() if isinstance(part, Attention)]
        assert attentions and all(isinstance(part.processor, MapAttention) for part in attentions)


def test_the_layout_lasts_from_end_to_end() -> None:
    unet = UNet2DModel(**SETTINGS).train()
    quicken(unet)
    lost = []

    def look(part: nn.Module, _: Any, y: Any) -> None:
        if isinstance(y, torch.Tensor) and y.dim() == 4 and not y.is_contiguous(memory_format=torch.channels_last):
            lost.append((part, y.shape, y.stride()))

    for part in unet.modules():
        part.register_forward_hook(look)
    unet(quick_layout(torch.randn(65, 1, 8, 8)), 3)
    assert not lost

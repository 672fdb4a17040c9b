"""From the maps of an encoder to logits: the four pools of Dhariwal and Nichol 2021 (arXiv:2105.05233)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from genkit.diffusion.networks.unet2d import zero
from genkit.diffusion.networks.unet_plan import GROUPS, EncoderPlan

Pool = Literal["attention", "adaptive", "spatial", "spatial_v2"]
HIDDEN = 2048


def make_pool(pool: Pool, plan: EncoderPlan, outputs: int) -> nn.Module:
    """The pool of that name for the maps of a plan's encoder: list of maps -> (B, outputs)."""
    if pool == "attention":
        return AttentionPool(plan.sides[-1], plan.widths[-1], plan.norm_groups, plan.head_width, outputs)
    if pool == "adaptive":
        return MeanPool(plan.widths[-1], plan.norm_groups, outputs)
    return AllMapsPool(sum(plan.map_widths), outputs, nn.ReLU() if pool == "spatial" else NormSiLU(HIDDEN, GROUPS))


class NormSiLU(nn.Sequential):
    """GroupNorm, SiLU."""

    def __init__(self, width: int, groups: int):
        super().__init__(nn.GroupNorm(groups, width), nn.SiLU())


class AttentionPool(nn.Module):
    """Attention over the last map's pixels and their mean; the mean's answer is projected (as in CLIP).

    Only the mean is a query: the answers of the other tokens would not be read.

    Args:
        side: side length of the map; a learned position per pixel ties the network to it.
        width: channels of the map.
        groups: of its norm.
        head_width: channels of a head.
        outputs: number of logits.
    """

    def __init__(self, side: int, width: int, groups: int, head_width: int, outputs: int):
        super().__init__()
        self.heads = width // head_width
        self.norm = NormSiLU(width, groups)
        self.positions = nn.Parameter(torch.randn(width, side**2 + 1) / width**0.5)
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, outputs)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        pixels = rearrange(self.norm(maps[-1]), "b c h w -> b (h w) c")
        tokens = torch.cat([pixels.mean(dim=1, keepdim=True), pixels], dim=1) + self.positions.T
        width = tokens.shape[2]
        query = F.linear(tokens[:, :1], self.qkv.weight[:width], self.qkv.bias[:width])
        key_value = F.linear(tokens, self.qkv.weight[width:], self.qkv.bias[width:])
        query = rearrange(query, "b n (head c) -> b head n c", head=self.heads)
        key, value = rearrange(key_value, "b n (kv head c) -> kv b head n c", kv=2, head=self.heads)
        answer = F.scaled_dot_product_attention(query, key, value)
        return self.project(rearrange(answer, "b head 1 c -> b (head c)"))


class MeanPool(nn.Module):
    """The mean of the last map; a linear layer that starts at zero ("adaptive")."""

    def __init__(self, width: int, groups: int, outputs: int):
        super().__init__()
        self.norm = NormSiLU(width, groups)
        self.project = nn.Linear(width, outputs)
        zero(self.project)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.project(reduce(self.norm(maps[-1]), "b c h w -> b c", "mean"))


class AllMapsPool(nn.Module):
    """The means of all maps; two linear layers ("spatial"; with a norm and SiLU between them "spatial_v2")."""

    def __init__(self, features: int, outputs: int, activation: nn.Module):
        super().__init__()
        self.hidden = nn.Linear(features, HIDDEN)
        self.activation = activation
        self.project = nn.Linear(HIDDEN, outputs)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        means = torch.cat([reduce(m, "b c h w -> b c", "mean") for m in maps], dim=1)
        return self.project(self.activation(self.hidden(means)))

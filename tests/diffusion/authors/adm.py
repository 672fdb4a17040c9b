"""OpenAI's UNets as plain functions of their state dicts, written from the formulas and independent of genkit's.

`Weights` draws a tensor when a network first asks for it, so that running a network once makes its checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Config = dict[str, Any]


class Weights(dict[str, Tensor]):
    """Tensors by the authors' names, drawn on demand and rounded to float16 as in a published file."""

    def get(self, name: str, *shape: int) -> Tensor:  # type: ignore[override]
        if name not in self:
            scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.3
            self[name] = (name.endswith("weight") * (len(shape) == 1) + scale * torch.randn(shape)).half()
        assert self[name].shape == shape
        return self[name].float()


@dataclass(frozen=True)
class At:
    """The weights of one module."""

    weights: Weights
    name: str

    def __truediv__(self, child: object) -> At:
        return At(self.weights, f"{self.name}.{child}")

    def conv(self, x: Tensor, outputs: int, kernel: int = 3, stride: int = 1) -> Tensor:
        weight = self.weights.get(f"{self.name}.weight", outputs, x.shape[1], kernel, kernel)
        return F.conv2d(x, weight, self.bias(outputs), stride=stride, padding=kernel // 2)

    def pointwise(self, x: Tensor, outputs: int) -> Tensor:
        """(B, C, L)."""
        return F.conv1d(x, self.weights.get(f"{self.name}.weight", outputs, x.shape[1], 1), self.bias(outputs))

    def linear(self, x: Tensor, outputs: int) -> Tensor:
        return F.linear(x, self.weights.get(f"{self.name}.weight", outputs, x.shape[1]), self.bias(outputs))

    def norm(self, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, self.weights.get(f"{self.name}.weight", x.shape[1]), self.bias(x.shape[1]), eps=1e-5)

    def bias(self, outputs: int) -> Tensor:
        return self.weights.get(f"{self.name}.bias", outputs)


def embedding(w: Weights, c: Config, t: Tensor, y: Tensor | None) -> Tensor:
    half = c["model_channels"] // 2
    angle = t[:, None].float() * torch.exp(-math.log(10000) * torch.arange(half) / half)
    wide = 4 * c["model_channels"]
    e = At(w, "time_embed.0").linear(torch.cat([angle.cos(), angle.sin()], dim=1), wide)
    e = At(w, "time_embed.2").linear(F.silu(e), wide)
    return e if y is None else e + w.get("label_emb.weight", c["num_classes"], wide)[y]


def residual(at: At, c: Config, x: Tensor, e: Tensor, width: int, resample: Any = None) -> Tensor:
    h = F.silu((at / "in_layers.0").norm(x))
    if resample is not None:
        h, x = resample(h), resample(x)
    h = (at / "in_layers.2").conv(h, width)
    scaled = c.get("use_scale_shift_norm", False)
    shift = (at / "emb_layers.1").linear(F.silu(e), width * (1 + scaled))[:, :, None, None]
    norm = (at / "out_layers.0").norm
    h = norm(h) * (1 + shift[:, :width]) + shift[:, width:] if scaled else norm(h + shift)
    h = (at / "out_layers.3").conv(F.silu(h), width)
    return h + (x if x.shape[1] == width else (at / "skip_connection").conv(x, width, kernel=1))


def attend(qkv: Tensor, heads: int, order: str) -> Tensor:
    """(B, 3C, L) -> (B, C, L), head by head."""
    width = qkv.shape[1] // 3
    d = width // heads
    out = []
    for head in range(heads):
        if order == "legacy":
            q, k, v = qkv[:, head * 3 * d : (head + 1) * 3 * d].split(d, dim=1)
        else:
            q, k, v = (qkv[:, i * width + head * d : i * width + (head + 1) * d] for i in range(3))
        share = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(d), dim=2)
        out.append(v @ share.transpose(1, 2))
    return torch.cat(out, dim=1)


def attention(at: At, c: Config, x: Tensor, decoder: bool = False) -> Tensor:
    width = x.shape[1]
    heads = c.get("num_heads", 1)
    if decoder and c.get("num_heads_upsample", -1) != -1:
        heads = c["num_heads_upsample"]
    if c.get("num_head_channels", -1) != -1:
        heads = width // c["num_head_channels"]
    h = (at / "qkv").pointwise((at / "norm").norm(x.flatten(2)), 3 * width)
    h = attend(h, heads, "new" if c.get("use_new_attention_order") else "legacy")
    return x + (at / "proj_out").pointwise(h, width).view_as(x)


def halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def down(at: At, c: Config, x: Tensor, e: Tensor) -> Tensor:
    if c.get("resblock_updown"):
        return residual(at, c, x, e, x.shape[1], halved)
    return (at / "op").conv(x, x.shape[1], stride=2) if c.get("conv_resample", True) else halved(x)


def up(at: At, c: Config, x: Tensor, e: Tensor) -> Tensor:
    if c.get("resblock_updown"):
        return residual(at, c, x, e, x.shape[1], doubled)
    return (at / "conv").conv(doubled(x), x.shape[1]) if c.get("conv_resample", True) else doubled(x)


def encoder(w: Weights, c: Config, x: Tensor, e: Tensor) -> list[Tensor]:
    """All maps, the middle's last."""
    widths = [int(m * c["model_channels"]) for m in c["channel_mult"]]
    maps = [At(w, "input_blocks.0.0").conv(x, widths[0])]
    for level, width in enumerate(widths):
        for _ in range(c["num_res_blocks"]):
            at = At(w, f"input_blocks.{len(maps)}")
            h = residual(at / 0, c, maps[-1], e, width)
            maps.append(attention(at / 1, c, h) if 2**level in c["attention_resolutions"] else h)
        if level < len(widths) - 1:
            maps.append(down(At(w, f"input_blocks.{len(maps)}.0"), c, maps[-1], e))
    h = residual(At(w, "middle_block.0"), c, maps[-1], e, widths[-1])
    h = attention(At(w, "middle_block.1"), c, h)
    return [*maps, residual(At(w, "middle_block.2"), c, h, e, widths[-1])]


def unet(w: Weights, c: Config, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
    """UNetModel."""
    e = embedding(w, c, t, y)
    *skips, h = encoder(w, c, x, e)
    count = 0
    for level, multiplier in reversed(list(enumerate(c["channel_mult"]))):
        for i in range(c["num_res_blocks"] + 1):
            at, part = At(w, f"output_blocks.{count}"), 1
            h = residual(at / 0, c, torch.cat([h, skips.pop()], dim=1), e, int(multiplier * c["model_channels"]))
            if 2**level in c["attention_resolutions"]:
                h, part = attention(at / 1, c, h, decoder=True), 2
            if level and i == c["num_res_blocks"]:
                h = up(at / part, c, h, e)
            count += 1
    assert not skips
    return At(w, "out.2").conv(F.silu(At(w, "out.0").norm(h)), c["out_channels"])


def super_resolution(w: Weights, c: Config, x: Tensor, t: Tensor, low_res: Tensor, y: Tensor | None = None) -> Tensor:
    """SuperResModel."""
    large = F.interpolate(low_res, x.shape[2:], mode="bilinear", align_corners=False)
    return unet(w, c, torch.cat([x, large], dim=1), t, y)


def classifier(w: Weights, c: Config, x: Tensor, t: Tensor) -> Tensor:
    """EncoderUNetModel."""
    maps = encoder(w, c, x, embedding(w, c, t, None))
    if c["pool"].startswith("spatial"):
        h = At(w, "out.0").linear(torch.cat([m.mean(dim=(2, 3)) for m in maps], dim=1), 2048)
        if c["pool"] == "spatial":
            return At(w, "out.2").linear(F.relu(h), c["out_channels"])
        return At(w, "out.3").linear(F.silu(At(w, "out.1").norm(h)), c["out_channels"])
    h = F.silu(At(w, "out.0").norm(maps[-1]))
    if c["pool"] == "adaptive":
        return At(w, "out.3").conv(h.mean(dim=(2, 3), keepdim=True), c["out_channels"], kernel=1).flatten(1)
    width, pixels = h.shape[1], h.flatten(2)
    tokens = torch.cat([pixels.mean(dim=2, keepdim=True), pixels], dim=2)
    tokens = tokens + w.get("out.2.positional_embedding", width, tokens.shape[2])
    qkv = At(w, "out.2.qkv_proj").pointwise(tokens, 3 * width)
    answers = At(w, "out.2.c_proj").pointwise(attend(qkv, width // c["num_head_channels"], "new"), c["out_channels"])
    return answers[:, :, 0]

"""The blocks of diffusers' UNets, computed in fewer passes over their maps: same parameters by the same names.

The originals make maps contiguous here and there, which undoes the channels-last layout, and divide by one. On a CPU
the layout saves a third of a convolution's time; on other devices only the surplus passes are saved.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from genkit.diffusion.networks.group_norm import MapNorm, scaled_group_norm


def quicken(unet: nn.Module) -> None:
    """Replaces the blocks of a UNet2DModel that are of the common kinds, and leaves the others."""
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D
    from diffusers.models.upsampling import Upsample2D

    _replace(unet, Upsample2D, QuickUpsample)
    _replace(unet, ResnetBlock2D, QuickResidual)
    _replace(unet, nn.GroupNorm, MapNorm)
    for part in unet.modules():
        if type(part) is Attention and part.group_norm is not None and part.spatial_norm is None:
            part.set_processor(MapAttention())


def _replace(network: nn.Module, kind: type, quick: Any) -> None:
    """Replaces every part of exactly that kind, where `quick` takes it, by `quick.of(part)`."""
    for part in list(network.modules()):
        for name, child in part.named_children():
            if type(child) is kind and quick.takes(child):
                setattr(part, name, quick.of(child))


def quick_layout(x: Tensor) -> Tensor:
    """(B, C, H, W) in the fastest layout for convolutions: channels last on a CPU, else unchanged."""
    if x.device.type != "cpu":
        return x
    pixels = rearrange(x, "b c h w -> b (h w c)")  # the strides of a single channel would not tell the layout
    return rearrange(pixels, "b (h w c) -> b c h w", h=x.shape[2], w=x.shape[3])


class QuickUpsample(nn.Module):
    """diffusers' Upsample2D: every pixel twice in both directions, and its 3x3 convolution where it has one."""

    def __init__(self, conv: nn.Module | None):
        super().__init__()
        self.conv = conv

    @staticmethod
    def takes(block: Any) -> bool:
        """True if it only repeats pixels, and keeps its convolution where this does."""
        if block.norm is not None or not block.interpolate or block.use_conv_transpose or block.name != "conv":
            return False
        return not block.use_conv or (block.conv.kernel_size, block.conv.padding) == ((3, 3), (1, 1))

    @classmethod
    def of(cls, block: Any) -> QuickUpsample:
        return cls(block.conv if block.use_conv else None)

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        return repeat_pixels(x, self.conv, output_size)


def repeat_pixels(x: Tensor, conv: Any = None, size: Any = None) -> Tensor:
    """conv of every pixel twice in both directions, (B, C, 2H, 2W) or of another `size`.

    To repeat is a transposed convolution with a 2x2 square of ones; together with the 3x3 one behind it, it is a 4x4
    one, which takes 16 products where the two take 36.
    """
    x = quick_layout(x)
    if conv is None or size is not None or x.device.type != "cpu":
        x = F.interpolate(x, mode="nearest", **({"scale_factor": 2.0} if size is None else {"size": size}))
        return x if conv is None else conv(x)
    kernel = 4 * F.avg_pool2d(conv.weight, 2, stride=1, padding=1)
    return F.conv_transpose2d(x, kernel.flip(2, 3).transpose(0, 1), conv.bias, stride=2, padding=1)


class QuickResidual(nn.Module):
    """diffusers' ResnetBlock2D. The embedding's scale and shift are merged with those of the second norm."""

    norm1: Any
    conv1: Any
    time_emb_proj: Any
    norm2: Any
    dropout: Any
    conv2: Any
    nonlinearity: Any
    upsample: Any
    downsample: Any
    conv_shortcut: Any

    def __init__(self, block: Any):
        super().__init__()
        self.upsample = self.downsample = self.conv_shortcut = None
        for name, child in block.named_children():
            setattr(self, name, child)
        self.scale_shift = block.time_embedding_norm == "scale_shift"
        self.divisor = block.output_scale_factor

    @staticmethod
    def takes(block: Any) -> bool:
        """True if it resamples, if at all, by a module, and sees the embedding."""
        resamplers = [part for part in (block.upsample, block.downsample) if part is not None]
        seen = block.time_emb_proj is not None and not block.skip_time_act
        return seen and all(isinstance(part, nn.Module) for part in resamplers)

    @classmethod
    def of(cls, block: Any) -> QuickResidual:
        return cls(block)

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        x = quick_layout(x)
        h = self.nonlinearity(self.norm1(x))
        if self.downsample is not None:
            x, h = self.downsample(x), self.downsample(h)
        h = self.conv1(h) if self.upsample is None else repeat_pixels(h, self.conv1)
        h = self.nonlinearity(self._second_norm(h, self.time_emb_proj(self.nonlinearity(temb))))
        h = self.conv2(self.dropout(h))
        x = x if self.conv_shortcut is None else self.conv_shortcut(x)
        x = h + (x if self.upsample is None else repeat_pixels(x))
        return x if self.divisor == 1 else x / self.divisor

    def _second_norm(self, h: Tensor, embedding: Tensor) -> Tensor:
        if self.scale_shift:
            return scaled_group_norm(h, self.norm2, *embedding.chunk(2, dim=1))
        normal: Tensor = self.norm2(h + embedding[:, :, None, None])
        return normal


class MapAttention:
    """diffusers' attention over the pixels of a map, (B, C, H, W) -> (B, C, H, W), a processor of its Attention."""

    def __call__(self, attention: Any, hidden_states: Tensor, temb: Tensor | None = None, **_: Any) -> Tensor:
        x, heads = quick_layout(hidden_states), attention.heads
        pixels = rearrange(attention.group_norm(x), "b c h w -> b (h w) c")
        q, k, v = (
            rearrange(layer(pixels), "b n (h d) -> b h n d", h=heads)
            for layer in (attention.to_q, attention.to_k, attention.to_v)
        )
        answer = rearrange(F.scaled_dot_product_attention(q, k, v), "b h n d -> b n (h d)")
        out = rearrange(attention.to_out[0](answer), "b (h w) c -> b c h w", h=x.shape[2])
        out = out + x if attention.residual_connection else out
        return out if attention.rescale_output_factor == 1 else out / attention.rescale_output_factor

"""diffusers' UNet2DModel, built by a plan; settings that the class lacks are made afterwards.

It is imported by the narrowest path that works: two of diffusers' packages import all their models when one is wanted,
and a module of helpers imports the machinery of torch.compile to mark blocks that it need not look into, though it can.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from einops import rearrange
from torch import Tensor, nn

from genkit.diffusion.networks.quick_blocks import quick_layout, quicken
from genkit.diffusion.networks.unet_plan import EncoderPlan, UNetPlan

UNet2D = Any
"""A diffusers.UNet2DModel; its package's lazy imports hide its type."""

_BLOCKS = {"residual": ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"), "conv": ("DownBlock2D", "UpBlock2D")}

WIDE = ("diffusers.models.unets", "diffusers.models.transformers")
"""Packages of which only the modules that are asked for are imported."""
DISPENSABLE = "torch._dynamo"
"""A module that diffusers does without where it is not there."""


def unet2d(plan: UNetPlan, images: int = 1) -> UNet2D:
    """The UNet, initialised as Dhariwal and Nichol do: every residual branch and the output start at zero.

    Args:
        plan: its shape.
        images: number of input images, joined along the channels.
    """
    squares = plan.channels * plan.patch**2
    unet = _built(plan, images * squares, plan.outputs * plan.patch**2, plan.labels)
    if plan.decoder_heads:
        _set_heads(unet.up_blocks, plan.decoder_heads)
    return unet


def encoder2d(plan: EncoderPlan) -> UNet2D:
    """The encoder and the middle of such a UNet, for `encode`; its decoder is gone."""
    encoder = _built(plan, plan.channels * plan.patch**2, outputs=1, labels=0)
    del encoder.up_blocks, encoder.conv_norm_out, encoder.conv_act, encoder.conv_out
    return encoder


def _built(plan: EncoderPlan, inputs: int, outputs: int, labels: int) -> UNet2D:
    """A UNet from `inputs` to `outputs` channels, with a class embedding of `labels` rows."""
    unet: UNet2D = unet_class()(
        in_channels=inputs, out_channels=outputs, num_class_embeds=labels or None, **settings(plan)
    )
    if plan.widths[0] != plan.width:
        unet.time_proj.num_channels = plan.width
        unet.time_embedding.linear_1 = nn.Linear(plan.width, 4 * plan.width)
    if plan.resample == "pool":
        _drop_resampling_convs(unet)
    if plan.heads:
        _set_heads(unet, plan.heads)
    zero_outputs(unet)
    zero(unet.conv_out)
    quicken(unet)
    return unet


def encode(unet: UNet2D, x: Tensor, t: Tensor) -> list[Tensor]:
    """The maps of the encoder and the middle, given images (B, C, H, W) and steps (B,).

    In order: after the stem; of each level after every residual block (and its attention) and after the halving; after
    the middle. Their channels are `plan.map_widths`.
    """
    embedding = unet.time_embedding(unet.time_proj(t).to(x.dtype))
    maps = [unet.conv_in(quick_layout(x))]
    for block in unet.down_blocks:
        maps += block(hidden_states=maps[-1], temb=embedding)[1]
    return [*maps, unet.mid_block(maps[-1], embedding)]


def settings(plan: EncoderPlan) -> dict[str, Any]:
    """The constructor arguments of UNet2DModel that a plan decides."""
    down, up = _BLOCKS["residual" if plan.resample == "residual" else "conv"]
    resample = "resnet" if plan.resample == "residual" else "conv"
    same_width = len(set(plan.attention_widths)) == 1
    by_count = plan.attention_widths[-1] // plan.heads if plan.heads and same_width else None
    return {
        "sample_size": plan.sides[0],
        "block_out_channels": tuple(plan.widths),
        "layers_per_block": plan.blocks,
        "down_block_types": tuple("AttnDownBlock2D" if attends else down for attends in plan.attends),
        "up_block_types": tuple("AttnUpBlock2D" if attends else up for attends in reversed(plan.attends)),
        "downsample_type": resample,
        "upsample_type": resample,
        "dropout": plan.dropout,
        "attention_head_dim": by_count if plan.heads else plan.head_width,
        "norm_num_groups": plan.norm_groups,
        # Without it the attention of the middle loses its norm under scale_shift.
        "attn_norm_num_groups": plan.norm_groups,
        "resnet_time_scale_shift": "scale_shift" if plan.scale_shift else "default",
        "time_embedding_dim": 4 * plan.width,
    }


def zero_outputs(module: nn.Module) -> None:
    """Sets to zero the last layer of every residual block and of every attention layer."""
    from diffusers.models.attention_processor import Attention
    from diffusers.models.resnet import ResnetBlock2D

    for part in module.modules():
        if isinstance(part, ResnetBlock2D):
            zero(part.conv2)
        elif isinstance(part, Attention):
            zero(part.to_out[0])


def zero(layer: nn.Module) -> None:
    """Sets its parameters to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _set_heads(module: nn.Module, heads: int) -> None:
    from diffusers.models.attention_processor import Attention

    for part in module.modules():
        if isinstance(part, Attention):
            part.heads = heads


def _drop_resampling_convs(unet: nn.Module) -> None:
    from diffusers.models.downsampling import Downsample2D
    from diffusers.models.upsampling import Upsample2D

    for part in unet.modules():
        if isinstance(part, Downsample2D):
            part.use_conv = False
            part.register_module("conv", nn.AvgPool2d(2))
        elif isinstance(part, Upsample2D):
            part.use_conv = False
            part.register_module("conv", None)


def to_patches(x: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B, C * patch**2, H / patch, W / patch), squares of pixels as channels: likelihoods stay."""
    return x if patch == 1 else rearrange(x, "b c (h p) (w q) -> b (c p q) h w", p=patch, q=patch)


def from_patches(x: Tensor, patch: int) -> Tensor:
    """(B, C * patch**2, H, W) -> (B, C, H * patch, W * patch)."""
    return x if patch == 1 else rearrange(x, "b (c p q) h w -> b c (h p) (w q)", p=patch, q=patch)


def unet_class() -> Any:
    """diffusers' UNet2DModel."""
    with _narrowly():
        return import_module("diffusers.models.unets.unet_2d").UNet2DModel


@contextmanager
def _narrowly() -> Iterator[None]:
    """Inside, what is not imported yet is kept small: `WIDE` import nothing, `DISPENSABLE` is not there."""
    before = set(sys.modules)
    if DISPENSABLE not in before:
        sys.modules[DISPENSABLE] = None  # type: ignore[assignment]
    for name in WIDE:
        if name not in before:
            sys.modules[name] = _empty_package(name)
    try:
        yield
    finally:
        for name in {DISPENSABLE, *WIDE} - before:
            sys.modules.pop(name, None)


def _empty_package(name: str) -> ModuleType:
    """A package that finds the modules of `name` and imports none."""
    spec, package = find_spec(name), ModuleType(name)
    assert spec is not None and spec.submodule_search_locations is not None
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    return package

"""Names and shapes of tensors: from OpenAI's UNets (guided-diffusion, improved-diffusion) to diffusers' blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Literal

from einops import rearrange
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.foreign.state_dict import layer_names

Order = Literal["legacy", "new"]
"""Rows of a fused qkv: q, k, v of head 0, then of head 1 ...; or all q, all k, all v. Same shapes, other networks."""

_ROWS = {"legacy": "(head qkv c) ... -> qkv (head c) ...", "new": "(qkv head c) ... -> qkv (head c) ..."}
_RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_ATTENTION = {"group_norm": "norm", "to_q": "qkv.q", "to_k": "qkv.k", "to_v": "qkv.v", "to_out.0": "proj_out"}

Pairs = Iterator[tuple[str, str]]
"""(our module, theirs)."""


def tensor_names(ours: nn.Module, pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Our tensors -> theirs, for those of our modules that have tensors."""
    named = (layer_names(mine, theirs) for mine, theirs in pairs)
    expected = ours.state_dict()
    return {mine: theirs for names in named for mine, theirs in names.items() if mine in expected}


def unet_pairs(unet: Any, at: str) -> Pairs:
    """Pairs of a whole UNet2DModel, which is our submodule `at`."""
    yield from encoder_pairs(unet, at)
    yield f"{at}.conv_norm_out", "out.0"
    yield f"{at}.conv_out", "out.2"
    count = 0
    for i, block in enumerate(unet.up_blocks):
        here = f"{at}.up_blocks.{i}"
        for j in range(len(block.resnets)):
            yield from _layer_pairs(block, here, j, f"output_blocks.{count}")
            count += 1
        if block.upsamplers is not None:
            position = 2 if hasattr(block, "attentions") else 1
            yield from _resampler_pairs(f"{here}.upsamplers.0", f"output_blocks.{count - 1}.{position}", "conv")


def encoder_pairs(unet: Any, at: str) -> Pairs:
    """Pairs of the embeddings, the encoder and the middle."""
    yield f"{at}.time_embedding.linear_1", "time_embed.0"
    yield f"{at}.time_embedding.linear_2", "time_embed.2"
    yield f"{at}.class_embedding", "label_emb"
    yield f"{at}.conv_in", "input_blocks.0.0"
    count = 1
    for i, block in enumerate(unet.down_blocks):
        here = f"{at}.down_blocks.{i}"
        for j in range(len(block.resnets)):
            yield from _layer_pairs(block, here, j, f"input_blocks.{count}")
            count += 1
        if block.downsamplers is not None:
            yield from _resampler_pairs(f"{here}.downsamplers.0", f"input_blocks.{count}.0", "op")
            count += 1
    yield from _inside(f"{at}.mid_block.resnets.0", "middle_block.0", _RESIDUAL)
    yield from _inside(f"{at}.mid_block.attentions.0", "middle_block.1", _ATTENTION)
    yield from _inside(f"{at}.mid_block.resnets.1", "middle_block.2", _RESIDUAL)


def _layer_pairs(block: Any, ours: str, j: int, theirs: str) -> Pairs:
    yield from _inside(f"{ours}.resnets.{j}", f"{theirs}.0", _RESIDUAL)
    if hasattr(block, "attentions"):
        yield from _inside(f"{ours}.attentions.{j}", f"{theirs}.1", _ATTENTION)


def _resampler_pairs(ours: str, theirs: str, conv: str) -> Pairs:
    """Pairs of a residual block and of a convolution; only one of them has tensors."""
    yield from chain(_inside(ours, theirs, _RESIDUAL), [(f"{ours}.conv", f"{theirs}.{conv}")])


def _inside(ours: str, theirs: str, layers: Mapping[str, str]) -> Pairs:
    for mine, other in layers.items():
        yield f"{ours}.{mine}", f"{theirs}.{other}"


def heads_of(ours: nn.Module, pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Name of their attention layer -> number of heads of ours."""
    return {
        theirs.removesuffix(".q"): ours.get_submodule(mine.removesuffix(".to_q")).heads  # type: ignore[misc]
        for mine, theirs in pairs
        if mine.endswith(".to_q")
    }


def split_qkv(state: Mapping[str, Tensor], heads: Mapping[str, int], order: Order) -> dict[str, Tensor]:
    """`state` with every fused qkv as the three matrices and biases that diffusers' attention holds.

    Args:
        state: by the authors' names.
        heads: of every attention layer, by the authors' name of its qkv.
        order: of the fused rows.

    Raises:
        WeightsError: a fused tensor whose rows are not three times its heads.
    """
    split = dict(state)
    for name, count in heads.items():
        for tensor in ("weight", "bias"):
            if isinstance(fused := split.pop(f"{name}.{tensor}", None), Tensor):
                if fused.ndim == 0 or fused.shape[0] % (3 * count):
                    raise WeightsError(
                        f"the checkpoint does not fit the layout: {name}.{tensor} has the shape {list(fused.shape)}, "
                        f"whose rows are not queries, keys and values of {count} heads"
                    )
                parts = rearrange(fused, _ROWS[order], qkv=3, head=count)
                split |= {f"{name}.{part}.{tensor}": rows for part, rows in zip("qkv", parts, strict=True)}
    return split


def as_matrices(
    state: Mapping[str, Tensor], names: Mapping[str, tuple[str, ...]], ours: nn.Module
) -> dict[str, Tensor]:
    """`state` with 1x1 convolutions, over pixels in a row or in a square, as the linear layers that ours are."""
    expected = ours.state_dict()
    matrices = dict(state)
    for mine, (theirs, *_) in names.items():
        value = state.get(theirs)
        if isinstance(value, Tensor) and expected[mine].ndim == 2 and value.shape[2:].numel() == 1:
            matrices[theirs] = value.flatten(1) if value.ndim > 2 else value
    return matrices

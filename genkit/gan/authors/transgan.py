"""Checkpoints of github.com/VITA-Group/TransGAN (Jiang et al. 2021, arXiv:2102.07074), of both its code generations.

v1 is the code of February 2021 (TransGAN_8_8_1, TransGAN_8_8_G2_1, Celeba64_TransGAN and ViT_8_8), neurips that of June
2021 on (ViT_custom_rp and ViT_custom_scale2_rp_noise). The number of stages and blocks is read off the tensors' names,
because their settings give it only in part.

Left out knowingly: `to_rgb`, which their forward never uses, tables of indices that follow from the sizes, and the
augmentation (`diff_aug`) that their discriminators apply to their input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count, takewhile
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.foreign.authors_settings import Settings, check_settings, networks_of
from genkit.foreign.state_dict import BATCH_NORM, TensorNames, layer_names, load_named, own_part
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.token_block import Activation
from genkit.gan.networks.token_norm import TokenNorm
from genkit.gan.networks.transgan_critic import TransGANCritic, TwoScaleTransGANCritic
from genkit.gan.networks.transgan_generator import Resolution, TransGANGenerator
from genkit.layers.arguments import Width

TheirNorm = Literal["ln", "bn", "in", "pn", "none"]
TheirActivation = Literal["gelu", "leakyrelu"]

NORMS: dict[str, TokenNorm] = {"ln": "layer", "bn": "batch", "in": "instance", "pn": "pixel", "none": "none"}
ACTIVATIONS: dict[str, Activation] = {"gelu": "gelu", "leakyrelu": "leaky_relu"}
G_HEADS = 4
"""Heads of their generators, fixed in their code."""
EXAMPLES = {
    "v1_generator": {"bottom_width": 8, "gf_dim": 1024, "latent_dim": 1024},
    "neurips_generator": {"bottom_width": 8, "gf_dim": 1024, "latent_dim": 256},
    "v1_critic": {"img_size": 32, "patch_size": 4, "df_dim": 384},
    "neurips_critic": {"img_size": 32, "patch_size": 2, "df_dim": 384},
}
"""Layout -> settings of a checkpoint."""


class TransGANGeneratorSettings(Settings):
    """bottom_width: tokens along a side in the first stage. gf_dim: their width. latent_dim: width of z."""

    bottom_width: Resolution
    gf_dim: Width
    latent_dim: Annotated[int, Field(ge=1, le=4096)]


class NeurIPSGeneratorSettings(TransGANGeneratorSettings):
    """g_norm, g_act, g_mlp: of the blocks. latent_norm: rescale z. g_window_size: of the grid, at 256 pixels."""

    g_norm: TheirNorm = "ln"
    g_act: TheirActivation = "gelu"
    g_mlp: Annotated[int, Field(ge=1, le=16)] = 4
    latent_norm: bool = False
    g_window_size: Annotated[int, Field(ge=1, le=256)] = 16


class TransGANCriticSettings(Settings):
    """img_size, patch_size: side lengths in pixels. df_dim: width of a token. num_heads: 4 unless given."""

    img_size: Resolution
    patch_size: Annotated[int, Field(ge=1, le=64)]
    df_dim: Width
    num_heads: Annotated[int, Field(ge=1, le=64)] = 4


class NeurIPSCriticSettings(TransGANCriticSettings):
    """d_norm, d_act: of the blocks. Their windows are tied to the sizes; it does not read `d_mlp`, the ratio is 4."""

    d_norm: TheirNorm = "ln"
    d_act: TheirActivation = "gelu"


class Logits(nn.Module):
    """Images (B, C, H, W) -> logits (B, 1), as their discriminators; the network itself gives (B,)."""

    def __init__(self, network: Critic):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).unsqueeze(1)  # type: ignore[no-any-return]


def v1_generator(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> TransGANGenerator:
    """TransGAN_8_8_1, TransGAN_8_8_G2_1 or Celeba64_TransGAN: latents (B, latent_dim) -> unbounded images.

    Their forward takes the epoch, which sets the locality mask: here the attribute `locality`, None as in their tests.
    """
    settings, state = check_settings(TransGANGeneratorSettings, config), _alive(own_part(state, "G"))
    stages = ["blocks", *_numbered(state, "upsample_blocks.{}")]
    return _generator(state, settings, [f"{stage}.{{}}" for stage in stages])


def neurips_generator(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> TransGANGenerator:
    """ViT_custom_rp, the generator of ViT_custom_scale2_rp_noise, or that of ViT_custom_local544444_256_rp."""
    settings, state = check_settings(NeurIPSGeneratorSettings, config), _silent(_alive(own_part(state, "G")))
    large = _numbered(state, "blocks_{}", first=1)
    stages = large or ["blocks", *_numbered(state, "upsample_blocks.{}")]
    skips = "tRGB_1.0.weight" in state
    arguments: dict[str, Any] = {
        "norm": NORMS[settings.g_norm],
        "activation": ACTIVATIONS[settings.g_act],
        "ratio": 4 if skips else settings.g_mlp,  # the variant with skips reads neither this setting
        "relative": True,
        "normalised": settings.latent_norm and not skips,  # nor this one
        "skips": skips,
    }
    if large:
        arguments |= {"bicubic": 2, "windows": [0] * 3 + [settings.g_window_size] * (len(large) - 3)}
    return _generator(state, settings, [f"{stage}.block.{{}}" for stage in stages], **arguments)


@networks_of()
def v1_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> Logits:
    """ViT_8_8."""
    settings, state = check_settings(TransGANCriticSettings, config), _alive(own_part(state, "D"))
    depth = len(_numbered(state, "blocks.{}"))
    network = TransGANCritic(**_critic_arguments(state, settings, "patch_embed"), depth=depth)
    names: TensorNames = {"token": ("cls_token",), "positions": ("pos_embed",)}
    names |= layer_names("to_tokens", "patch_embed") | layer_names("norm", "norm") | layer_names("head", "head")
    for i in range(depth):
        names |= _block_names(f"blocks.{i}", f"blocks.{i}", ("weight", "bias"), "")
    return Logits(load_named(network, state, names))


@networks_of()
def neurips_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> Logits:
    """The discriminator of ViT_custom_scale2_rp_noise."""
    settings, state = check_settings(NeurIPSCriticSettings, config), _alive(own_part(state, "D"))
    depth, norm = len(_numbered(state, "blocks_1.{}")), NORMS[settings.d_norm]
    network = TwoScaleTransGANCritic(
        **_critic_arguments(state, settings, "fRGB_1"),
        depth=depth,
        norm=norm,
        activation=ACTIVATIONS[settings.d_act],
    )
    names: TensorNames = {
        "token": ("cls_token",),
        "fine_positions": ("pos_embed_1",),
        "coarse_positions": ("pos_embed_2",),
    }
    names |= layer_names("to_fine", "fRGB_1") | layer_names("to_coarse", "fRGB_2") | layer_names("head", "head")
    names |= layer_names("norm", "norm.norm", tensors=_norm_tensors(norm))
    blocks = {f"{ours}.blocks.{i}": f"{theirs}.{i}" for ours, theirs in SCALES.items() for i in range(depth)}
    for ours, theirs in (blocks | {"last": "last_block.0"}).items():
        names |= _block_names(ours, theirs, _norm_tensors(norm), ".norm", relative=ours != "last", noise=True)
    return Logits(load_named(network, state, names))


SCALES = {"fine": "blocks_1", "coarse": "blocks_2"}


@networks_of()
def _generator(
    state: Mapping[str, Tensor], settings: TransGANGeneratorSettings, stages: list[str], **arguments: Any
) -> TransGANGenerator:
    """Their generator whose block i of stage s is called stages[s].format(i)."""
    _expect(state, "pos_embed_1", 1, settings.bottom_width**2, settings.gf_dim)
    depths = [len(_numbered(state, stage)) for stage in stages]
    norm, skips = arguments.get("norm", "layer"), arguments.get("skips", False)
    relative = arguments.get("relative", False)
    network = TransGANGenerator(
        latent_dim=settings.latent_dim,
        size=settings.bottom_width * 2 ** (len(stages) - 1),
        channels=_channels(state, "tRGB_1.0.weight" if skips else "deconv.0.weight", 0),
        width=settings.gf_dim,
        depths=depths,
        heads=G_HEADS,
        **arguments,
    )
    names: TensorNames = layer_names("stem", "l1")
    for s, (stage, depth) in enumerate(zip(stages, depths, strict=True)):
        names[f"positions.{s}"] = (f"pos_embed_{s + 1}",)
        if skips or s == 0:
            names |= layer_names(f"to_images.{s}", f"tRGB_{s + 1}.0" if skips else "deconv.0")
        for i in range(depth):
            inner = ".norm" if relative else ""
            ours = f"stages.{s}.blocks.{i}"
            names |= _block_names(ours, stage.format(i), _norm_tensors(norm), inner, relative=relative)
    return load_named(network, state, names)


def _block_names(
    ours: str, theirs: str, norm: tuple[str, ...], inner: str, *, relative: bool = False, noise: bool = False
) -> TensorNames:
    """Names of one block; `inner` stands between the name of a norm and that of its tensor in their code."""
    names: TensorNames = layer_names(f"{ours}.attention.qkv", f"{theirs}.attn.qkv", tensors=("weight",))
    names |= layer_names(f"{ours}.attention.project", f"{theirs}.attn.proj")
    names |= layer_names(f"{ours}.widen", f"{theirs}.mlp.fc1") | layer_names(f"{ours}.narrow", f"{theirs}.mlp.fc2")
    for name in ("norm1", "norm2"):
        names |= layer_names(f"{ours}.{name}", f"{theirs}.{name}{inner}", tensors=norm)
    if relative:
        names[f"{ours}.attention.table"] = (f"{theirs}.attn.relative_position_bias_table",)
    if noise:
        names[f"{ours}.attention.strength"] = (f"{theirs}.attn.noise_strength_1",)
    return names


def _norm_tensors(norm: TokenNorm) -> tuple[str, ...]:
    return {"layer": ("weight", "bias"), "batch": BATCH_NORM}.get(norm, ())


def _numbered(state: Mapping[str, Tensor], pattern: str, first: int = 0) -> list[str]:
    """pattern.format(first), pattern.format(first + 1), ... as long as the checkpoint has tensors under them."""
    parents = {key[: match.start()] for key in state for match in re.finditer(r"\.", key)}
    return list(takewhile(parents.__contains__, (pattern.format(i) for i in count(first))))


def _alive(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without tensors that are never used, that follow from the sizes, or that belong to augmentation."""
    unused = ("to_rgb.", "Hz_fbank", "Hz_geom")
    return {k: v for k, v in state.items() if not k.startswith(unused) and not k.endswith("relative_position_index")}


def _silent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without the strengths of token noise, which must be zero: samples are functions of z alone."""
    strengths = [k for k in state if k.endswith("noise_strength_1")]
    if loud := [k for k in strengths if state[k].any()]:
        raise WeightsError(f"the generator adds noise to its tokens ({loud[0]} is not 0), which genkit's does not")
    return {k: v for k, v in state.items() if k not in strengths}


def _expect(state: Mapping[str, Tensor], name: str, *shape: int) -> None:
    """Refuses settings that contradict a tensor, before a network of their size is made."""
    found = state.get(name)
    if isinstance(found, Tensor) and found.shape != shape:
        raise WeightsError(
            f"the checkpoint does not fit the layout: of another shape: {name} {list(found.shape)} instead of "
            f"{list(shape)}"
        )


def _critic_arguments(state: Mapping[str, Tensor], settings: TransGANCriticSettings, patches: str) -> dict[str, Any]:
    _expect(state, "cls_token", 1, 1, settings.df_dim)
    return {
        "size": settings.img_size,
        "channels": _channels(state, f"{patches}.weight", 1),
        "patch": settings.patch_size,
        "width": settings.df_dim,
        "heads": settings.num_heads,
    }


def _channels(state: Mapping[str, Tensor], name: str, dimension: int) -> int:
    """Channels of the images, from the shape of a convolution; 3 if it is none, so that a later error names it."""
    weight = state.get(name)
    found = weight.shape[dimension] if isinstance(weight, Tensor) and weight.dim() == 4 else 3
    return found if found in (1, 3) else 3

"""Checkpoints of github.com/openai/guided-diffusion (arXiv:2105.05233) and improved-diffusion (arXiv:2102.09672).

Settings are the arguments of their constructors: UNetModel, SuperResModel, EncoderUNetModel. There
`attention_resolutions` are factors (image_size over the side length of a map), not the side lengths of their flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.diffusion.authors.unet_tensors import (
    Order,
    as_matrices,
    encoder_pairs,
    heads_of,
    split_qkv,
    tensor_names,
    unet_pairs,
)
from genkit.diffusion.networks.encoder_unet import EncoderUNet
from genkit.diffusion.networks.pools import Pool
from genkit.diffusion.networks.unet import SuperResolutionUNet, UNet
from genkit.diffusion.networks.unet_plan import GROUPS, EncoderPlan, UNetPlan
from genkit.foreign.authors_settings import Settings, check_settings, networks_of
from genkit.foreign.state_dict import load_named, own_part

M = TypeVar("M", bound=nn.Module)
U = TypeVar("U", bound=UNet)
NetworkSize = Annotated[int, Field(ge=4, le=1024)]
Heads = Annotated[int, Field(ge=1, le=1024)]


def _as_list(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, frozenset)) else list(value) if isinstance(value, tuple) else value


class UNetSettings(Settings):
    """Arguments that decide the network; -1 and None are theirs for "not given"."""

    image_size: NetworkSize
    in_channels: Annotated[int, Field(ge=1, le=16)]
    model_channels: Annotated[int, Field(ge=1, le=2048)]
    out_channels: Annotated[int, Field(ge=1, le=10_000)]
    num_res_blocks: Annotated[int, Field(ge=1, le=16)]
    attention_resolutions: Annotated[list[int], BeforeValidator(_as_list)]
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    channel_mult: Annotated[list[float], BeforeValidator(_as_list), Field(min_length=1)] = Field([1, 2, 4, 8])
    conv_resample: bool = True
    dims: Literal[2] = 2
    num_classes: Annotated[int, Field(ge=2, le=10_000)] | None = None
    num_heads: Heads = 1
    num_head_channels: Literal[-1] | Annotated[int, Field(ge=1, le=2048)] = -1
    num_heads_upsample: Literal[-1] | Heads = -1
    use_scale_shift_norm: bool = False
    resblock_updown: bool = False
    use_new_attention_order: bool = False

    @property
    def order(self) -> Order:
        return "new" if self.use_new_attention_order else "legacy"

    def encoder(self) -> EncoderPlan:
        """The plan of genkit's EncoderUNet."""
        return EncoderPlan(**self._shared())

    def denoiser(self) -> UNetPlan:
        """The plan of genkit's UNet and SuperResolutionUNet."""
        if self.out_channels not in (self.in_channels, 2 * self.in_channels):
            raise WeightsError(
                f"config.out_channels: {self.in_channels} (prediction) or {2 * self.in_channels} (and variance) are "
                f"accepted, got {self.out_channels}"
            )
        counted = self.num_head_channels == -1 and self.num_heads_upsample != -1
        return UNetPlan(
            **self._shared(),
            decoder_heads=self.num_heads_upsample if counted else 0,
            classes=self.num_classes or 0,
            variance=self.out_channels == 2 * self.in_channels,
        )

    def _shared(self) -> dict[str, Any]:
        self._check_widths()
        by_width = self.num_head_channels != -1
        return {
            "size": self.image_size,
            "channels": self.in_channels,
            "width": self.model_channels,
            "multipliers": self.channel_mult,
            "blocks": self.num_res_blocks,
            "attention": self._attention(),
            **({"head_width": self.num_head_channels} if by_width else {"heads": self.num_heads}),
            "dropout": self.dropout,
            "scale_shift": self.use_scale_shift_norm,
            "resample": "residual" if self.resblock_updown else "conv" if self.conv_resample else "pool",
        }

    def _check_widths(self) -> None:
        for multiplier in self.channel_mult:
            if (width := int(multiplier * self.model_channels)) % GROUPS or not width:
                raise WeightsError(
                    f"config.channel_mult: {multiplier:g} times model_channels {self.model_channels} must be a "
                    f"multiple of {GROUPS}, the groups of their norms; got {width}"
                )

    def _attention(self) -> list[int]:
        """Sides of the maps that attend. A factor that no level has is ignored, as it is in their code."""
        factors = [2**level for level in range(len(self.channel_mult))]
        return [self.image_size // factor for factor in factors if factor in self.attention_resolutions]


class ImprovedSettings(UNetSettings):
    """Settings of their older UNetModel: the size defaults to that of their scripts; `unread` are newer settings."""

    unread: ClassVar[tuple[str, ...]] = ("num_head_channels", "resblock_updown", "use_new_attention_order")

    image_size: NetworkSize = 64


class SuperResolutionSettings(UNetSettings):
    """Settings of SuperResModel; small_size is a flag of their script, not of the constructor."""

    small_size: NetworkSize


class ClassifierSettings(UNetSettings):
    """Arguments of EncoderUNetModel; out_channels is the number of classes; it has no num_classes."""

    num_classes: Any = None  # type: ignore[assignment]

    pool: Pool = "adaptive"


@networks_of()
def unet(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> UNet:
    """guided-diffusion's UNetModel, called (x, timesteps, y)."""
    settings = check_settings(UNetSettings, constructor(config))
    return _load_unet(UNet(settings.denoiser()), state, settings.order)


@networks_of()
def improved_unet(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> UNet:
    """improved-diffusion's UNetModel, called (x, timesteps, y)."""
    known = {name: value for name, value in constructor(config).items() if name not in ImprovedSettings.unread}
    settings = check_settings(ImprovedSettings, known)
    return _load_unet(UNet(settings.denoiser()), state, settings.order)


@networks_of()
def super_resolution_unet(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> SuperResolutionUNet:
    """guided-diffusion's SuperResModel, called (x, timesteps, low_res=..., y=...)."""
    settings = check_settings(SuperResolutionSettings, constructor(config))
    network = SuperResolutionUNet(settings.small_size, settings.denoiser())
    return _load_unet(network, state, settings.order)


@networks_of()
def classifier(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> EncoderUNet:
    """guided-diffusion's EncoderUNetModel, called (x, timesteps)."""
    settings = check_settings(ClassifierSettings, constructor(config))
    if settings.pool == "attention" and settings.num_head_channels == -1:
        raise WeightsError("config.num_head_channels: the pool 'attention' needs it, got -1")
    network = EncoderUNet(settings.encoder(), settings.out_channels, settings.pool)
    pairs = [*encoder_pairs(network.encoder, "encoder"), *_POOLS[settings.pool].items()]
    return _filled(network, state, pairs, settings.order)


_POOLS: dict[str, dict[str, str]] = {
    "attention": {
        "pool.norm.0": "out.0",
        "pool.qkv": "out.2.qkv_proj",
        "pool.project": "out.2.c_proj",
    },
    "adaptive": {"pool.norm.0": "out.0", "pool.project": "out.3"},
    "spatial": {"pool.hidden": "out.0", "pool.project": "out.2"},
    "spatial_v2": {"pool.hidden": "out.0", "pool.activation.0": "out.1", "pool.project": "out.3"},
}
_POSITIONS = {"pool.positions": ("out.2.positional_embedding",)}


def _load_unet(network: U, state: Mapping[str, Tensor], order: Order) -> U:
    return _filled(network, state, list(unet_pairs(network.unet, "unet")), order)


def _filled(network: M, state: Mapping[str, Tensor], pairs: list[tuple[str, str]], order: Order) -> M:
    names = tensor_names(network, pairs)
    if "pool.positions" in network.state_dict():
        names |= _POSITIONS
    theirs = split_qkv(own_part(state, "model"), heads_of(network, pairs), order)
    return load_named(network, as_matrices(theirs, names, network), names)


def constructor(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of their constructor, which may lie under that key beside notes about them."""
    inner = config.get("constructor")
    return inner if isinstance(inner, Mapping) else config

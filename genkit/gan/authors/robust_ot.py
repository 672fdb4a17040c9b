"""Checkpoints of github.com/yogeshbalaji/robustOT, GAN/ (Balaji et al. 2020, arXiv:2010.05862).

Leave out the tensors of the critics' conditional `projection` layer, which an unconditional run never uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from genkit.foreign.authors_settings import Settings, check_settings
from genkit.foreign.state_dict import BATCH_NORM, TensorNames, layer_names, load_named, own_part
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.robust_dcgan import RobustDCGANCritic, RobustDCGANGenerator, SNDCGANCritic, WeightNetwork
from genkit.gan.networks.robust_resnet import RobustResNetCritic, RobustResNetGenerator
from genkit.layers.arguments import Width

SPECTRAL = {
    "bias": "bias",
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0._u": "weight_u",
    "parametrizations.weight.0._v": "weight_v",
}
"""PyTorch's present names for a spectrally normalised layer -> those of the authors' PyTorch version."""
EXAMPLES = {
    **{name: {"nz": 128, "ngf": 128} for name in ("dcgan_generator", "resnet_generator")},
    **{f"{name}_critic": {"ndf": 128} for name in ("dcgan", "sndcgan", "resnet")},
    **{f"{name}_weights": {"ndf": 128} for name in ("dcgan", "resnet")},
}
"""Layout -> settings of a checkpoint."""


class WeightSettings(Settings):
    """ndf: base number of maps, of critic and weight network alike. Their critics take images of any size, ours of 32
    pixels.
    """

    ndf: Width
    imageSize: Literal[32] = 32


class RobustOTGeneratorSettings(Settings):
    """nz: width of z. ngf: base number of maps. G_activation shows in no tensor; theirs is ReLU throughout."""

    nz: Annotated[int, Field(ge=1, le=4096)]
    ngf: Width
    imageSize: Literal[32] = 32
    G_activation: Literal["relu"] = "relu"


class RobustOTCriticSettings(WeightSettings):
    """D_activation shows in no tensor; their DCGAN and SNDCGAN critics have leaky ReLU."""

    D_activation: Literal["lrelu"] = "lrelu"


class ResNetCriticSettings(WeightSettings):
    """D_activation shows in no tensor; their ResNet critics have ReLU."""

    D_activation: Literal["relu"] = "relu"


class ScoreColumn(nn.Module):
    """Images (B, 3, 32, 32) -> (B, 1), as theirs; `relu` is the last layer of their DCGAN weight network."""

    def __init__(self, network: Critic, relu: bool = False):
        super().__init__()
        self.network, self.relu = network, relu

    def forward(self, x: Tensor) -> Tensor:
        answer = self.network(x).unsqueeze(1)
        return answer.relu() if self.relu else answer


def dcgan_generator(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> RobustDCGANGenerator:
    """Their DCGAN netG: latents (B, nz) -> images (B, 3, 32, 32) in [-1, 1]."""
    settings, state = check_settings(RobustOTGeneratorSettings, config), own_part(state, "netG")
    bias = "network.0.conv_transpose_layer.bias" in state
    tensors = ("weight", "bias") if bias else ("weight",)
    network = RobustDCGANGenerator(settings.nz, width=settings.ngf, bias=bias)
    ours = ["stem", *(f"convs.{i}" for i in range(3)), "to_image"]
    names: dict[str, tuple[str, ...]] = {}
    for i, layer in enumerate(ours):
        names |= layer_names(layer, f"network.{3 * i}.conv_transpose_layer", tensors=tensors)
    for i in range(4):
        names |= layer_names(f"norms.{i}", f"network.{3 * i + 1}.batch_norm", tensors=BATCH_NORM)
    return load_named(network, state, names)


def dcgan_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ScoreColumn:
    """Their DCGAN netD."""
    settings, state = check_settings(RobustOTCriticSettings, config), own_part(state, "netD")
    bias = "network.0.bias" in state
    tensors = ("weight", "bias") if bias else ("weight",)
    network = RobustDCGANCritic(width=settings.ndf, bias=bias)
    names = layer_names("head", "network.11", tensors=tensors)
    for i, theirs in enumerate((0, 2, 5, 8)):
        names |= layer_names(f"convs.{i}", f"network.{theirs}", tensors=tensors)
    return ScoreColumn(load_named(network, _flat(state, "network.11.weight"), names))


def sndcgan_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ScoreColumn:
    """Their SNDCGAN netD, of hinge and non-saturating runs."""
    settings, state = check_settings(RobustOTCriticSettings, config), own_part(state, "netD")
    names = {**_spectral_names("head", "network.14.conv_layer")}
    for i in range(7):
        names |= _spectral_names(f"convs.{i}", f"network.{2 * i}.conv_layer")
    return ScoreColumn(
        load_named(SNDCGANCritic(width=settings.ndf), _flat(state, "network.14.conv_layer.weight_orig"), names)
    )


def dcgan_weights(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ScoreColumn:
    """Their netW beside DCGAN and SNDCGAN critics, which ends in ReLU."""
    return ScoreColumn(_weight_network(state, config), relu=True)


def resnet_weights(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ScoreColumn:
    """Their netW beside ResNet critics: no ReLU at the end, so that weights may be negative."""
    return ScoreColumn(_weight_network(state, config))


def resnet_generator(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> RobustResNetGenerator:
    """Their ResNet netG; transposed or plain convolutions, as the checkpoint has them."""
    settings, state = check_settings(RobustOTGeneratorSettings, config), own_part(state, "netG")
    transposed = "network.5.conv_transpose_layer.weight" in state
    layer = "conv_transpose_layer" if transposed else "conv_layer"
    network = RobustResNetGenerator(settings.nz, width=settings.ngf, transposed=transposed)
    names = {
        **layer_names("stem", "dense.linear_layer"),
        **layer_names("norm", "network.3.batch_norm", tensors=BATCH_NORM),
        **layer_names("to_image", f"network.5.{layer}"),
    }
    for i in range(3):
        ours, theirs = f"blocks.{i}", f"network.{i}.model"
        names |= layer_names(f"{ours}.norm1", f"{theirs}.0.batch_norm", tensors=BATCH_NORM)
        names |= layer_names(f"{ours}.conv1", f"{theirs}.3.{layer}")
        names |= layer_names(f"{ours}.norm2", f"{theirs}.4.batch_norm", tensors=BATCH_NORM)
        names |= layer_names(f"{ours}.conv2", f"{theirs}.6.{layer}")
    return load_named(network, state, names)


def resnet_critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ScoreColumn:
    """Their ResNet netD."""
    settings = check_settings(ResNetCriticSettings, config)
    names = {
        **layer_names("head", "final_layer.0"),
        **layer_names("first.conv1", "feat_net.0.model.0"),
        **layer_names("first.conv2", "feat_net.0.model.2"),
        **layer_names("first.shortcut", "feat_net.0.bypass.1"),
        **layer_names("blocks.0.shortcut", "feat_net.1.bypass.0"),
    }
    for i in range(3):
        names |= layer_names(f"blocks.{i}.conv1", f"feat_net.{i + 1}.model.1")
        names |= layer_names(f"blocks.{i}.conv2", f"feat_net.{i + 1}.model.3")
    return ScoreColumn(load_named(RobustResNetCritic(width=settings.ndf), own_part(state, "netD"), names))


def _weight_network(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> WeightNetwork:
    settings = check_settings(WeightSettings, config)
    names = layer_names("head", "network.9")
    for i in range(3):
        names |= layer_names(f"convs.{i}", f"network.{3 * i}")
    return load_named(WeightNetwork(width=settings.ndf), _flat(own_part(state, "netW"), "network.9.weight"), names)


def _spectral_names(ours: str, theirs: str) -> TensorNames:
    return {f"{ours}.{mine}": (f"{theirs}.{name}",) for mine, name in SPECTRAL.items()}


def _flat(state: Mapping[str, Tensor], name: str) -> Mapping[str, Tensor]:
    """Their last convolution, which covers its whole map, as a linear layer of the flattened map."""
    last = state.get(name)
    return {**state, name: last.flatten(1)} if isinstance(last, Tensor) and last.dim() == 4 else state

"""Checkpoints of github.com/Holmeswww/PPOGAN, cifar10/ (Wu et al. 2020, arXiv:2006.06900).

Their `torch.save(netG, ...)` pickles whole modules, which is refused here: save `netG.state_dict()` with their code.
Their modules name every convolution twice, as an attribute and inside a Sequential.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.foreign.authors_settings import Settings, check_settings
from genkit.foreign.state_dict import BATCH_NORM, TensorNames, layer_names, load_named, own_part
from genkit.gan.networks.critic import Critic
from genkit.gan.networks.resnet_gan import ResNetCritic, ResNetGenerator
from genkit.layers.arguments import Rate, Width

EXAMPLES = {
    "generator": {"nz": 128, "G_SIZE": 128},
    "critic": {"G_SIZE": 128, "D_SCALE": 1.0},
    "classifier": {"G_SIZE": 128, "D_SCALE": 1.0},
}
"""Layout -> settings of a checkpoint."""


class PPOGANGeneratorSettings(Settings):
    """nz: width of z. G_SIZE: channels of every map. Their networks fit 32 pixels only."""

    nz: Annotated[int, Field(ge=1, le=4096)]
    G_SIZE: Width
    ImageSize: Literal[32] = 32


class PPOGANCriticSettings(Settings):
    """Critic and classifier are int(G_SIZE * D_SCALE) wide.

    d1, d2, d3 are the dropout rates after the last three blocks: arguments of their critic's forward, by default 0.2,
    0.5, 0.5 and active in every call. Here they default to zero, so that a loaded critic gives one score per image.
    """

    G_SIZE: Width
    D_SCALE: Annotated[float, Field(gt=0, le=64)]
    ImageSize: Literal[32] = 32
    d1: Rate = 0.0
    d2: Rate = 0.0
    d3: Rate = 0.0

    @property
    def width(self) -> int:
        width = int(self.G_SIZE * self.D_SCALE)
        if not 1 <= width <= 2048:
            raise WeightsError(f"config: int(G_SIZE * D_SCALE) must be 1 to 2048, got {width}")
        return width


class ScoreAndFeatures(nn.Module):
    """Images (B, 3, 32, 32) -> (score (B, 1), pooled features (B, width)), as their netD."""

    def __init__(self, network: Critic):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.features(x)
        return self.network.score(features).unsqueeze(1), features


class RealProbability(nn.Module):
    """Images (B, 3, 32, 32) -> P(real) (B, 1), as their D; the network itself gives the logit."""

    def __init__(self, network: Critic):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).sigmoid().unsqueeze(1)


def generator(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ResNetGenerator:
    """Their netG: latents (B, nz) -> images (B, 3, 32, 32) in [-1, 1]."""
    settings = check_settings(PPOGANGeneratorSettings, config)
    network = ResNetGenerator(settings.nz, size=32, channels=3, width=settings.G_SIZE)
    return load_named(network, own_part(state, "netG"), _generator_names())


def critic(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> ScoreAndFeatures:
    """Their netD."""
    settings = check_settings(PPOGANCriticSettings, config)
    rates = (settings.d1, settings.d2, settings.d3)
    network = ResNetCritic(size=32, channels=3, width=settings.width, dropout=rates if any(rates) else ())
    blocks = [f"r{i}" for i in (1, 2, 3, 4)]
    return ScoreAndFeatures(load_named(network, own_part(state, "netD"), _critic_names(blocks)))


def classifier(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> RealProbability:
    """Their D, the auxiliary classifier of the probability ratio."""
    settings = check_settings(PPOGANCriticSettings, config)
    network = ResNetCritic(size=32, channels=3, width=settings.width, norm="batch")
    blocks = [f"model.{i}" for i in range(4)]
    names = {**_critic_names(blocks), **_classifier_norm_names(blocks)}
    return RealProbability(load_named(network, own_part(state, "D"), names))


def _generator_names() -> TensorNames:
    names = {
        **layer_names("stem", "dense"),
        **layer_names("norm", "model.3", tensors=BATCH_NORM),
        **layer_names("to_image", "final", "model.5"),
    }
    for i in range(3):
        ours, theirs = f"blocks.{i}", f"model.{i}"
        names |= layer_names(f"{ours}.norm1", f"{theirs}.model.0", tensors=BATCH_NORM)
        names |= layer_names(f"{ours}.conv1", f"{theirs}.conv1", f"{theirs}.model.3")
        names |= layer_names(f"{ours}.norm2", f"{theirs}.model.4", tensors=BATCH_NORM)
        names |= layer_names(f"{ours}.conv2", f"{theirs}.conv2", f"{theirs}.model.6")
    return names


def _critic_names(blocks: list[str]) -> TensorNames:
    first, second, *_ = blocks
    names = {
        **layer_names("head", "fc"),
        **layer_names("blocks.0.conv1", f"{first}.conv1", f"{first}.model.0"),
        **layer_names("blocks.0.conv2", f"{first}.conv2", f"{first}.model.2"),
        **layer_names("blocks.0.shortcut", f"{first}.bypass_conv", f"{first}.bypass.1"),
        **layer_names("blocks.1.shortcut", f"{second}.bypass_conv", f"{second}.bypass.0"),
    }
    for i, theirs in enumerate(blocks[1:], start=1):
        names |= layer_names(f"blocks.{i}.conv1", f"{theirs}.conv1", f"{theirs}.model.2")
        names |= layer_names(f"blocks.{i}.conv2", f"{theirs}.conv2", f"{theirs}.model.5")
    return names


def _classifier_norm_names(blocks: list[str]) -> TensorNames:
    names: dict[str, tuple[str, ...]] = {}
    for i, theirs in enumerate(blocks[1:], start=1):
        names |= layer_names(f"blocks.{i}.norm1", f"{theirs}.model.0", tensors=BATCH_NORM)
        names |= layer_names(f"blocks.{i}.norm2", f"{theirs}.model.3", tensors=BATCH_NORM)
    return names

"""Checkpoints of github.com/sajadn/Exemplar-VAE (Norouzi et al. 2020, arXiv:2004.04795)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from genkit.core.errors import WeightsError
from genkit.foreign.authors_settings import Settings, check_settings
from genkit.foreign.state_dict import TensorNames, layer_names, load_named, own_part
from genkit.layers.arguments import LatentDim, Width
from genkit.vae.latent_priors import ExemplarPrior, LatentPrior, StandardNormal, VampPrior
from genkit.vae.networks.conv_hvae import ConvHVAENetwork
from genkit.vae.networks.gated_vae import GatedHVAENetwork, GatedVAENetwork
from genkit.vae.networks.vae_network import Pixels, Side, VAENetwork, finish
from genkit.vae.pixel_likelihoods import Bernoulli, Logistic256
from genkit.vae.vae import VAE

_EXAMPLE = {"prior": "exemplar_prior", "input_type": "binary", "input_size": [1, 28, 28], "z1_size": 40}
EXAMPLES = {
    "vae": {**_EXAMPLE, "hidden_size": 300},
    "hvae_2level": {**_EXAMPLE, "hidden_size": 300},
    "convhvae_2level": _EXAMPLE,
}
"""Layout -> settings of a checkpoint."""


class VAESettings(Settings):
    """prior, input_type ("gray" is 256 levels), input_size [C, H, W], hidden_size, z1_size.

    number_components: pseudo-inputs, where the prior is vampprior. A mean through the logit, one variance for all
    posteriors and layers without gates are not supported where their network reads these settings.

    Attributes:
        unread: names of settings that the network does not read.
    """

    unread: ClassVar[tuple[str, ...]] = ("z2_size",)

    prior: Literal["standard", "vampprior", "exemplar_prior"]
    input_type: Literal["binary", "gray", "continuous"]
    input_size: Annotated[list[Side | Literal[1, 3]], Field(min_length=3, max_length=3)]
    hidden_size: Width = 300
    z1_size: LatentDim = 40
    number_components: Annotated[int, Field(ge=1)] = 500
    use_logit: Literal[False] = False
    same_variational_var: Literal[False] = False
    no_attention: Literal[False] = False

    @property
    def scaled(self) -> bool:
        return self.input_type != "binary"

    @property
    def pixels(self) -> int:
        return math.prod(self.input_size)

    def network_arguments(self) -> dict[str, Any]:
        channels, height, width = self.input_size
        return {
            "size": height if height == width else (height, width),
            "channels": channels,
            "latent_dim": self.z1_size,
            "width": self.hidden_size,
            "scaled": self.scaled,
        }

    def latent_prior(self) -> LatentPrior:
        if self.prior == "vampprior":
            return VampPrior(self.number_components)
        return ExemplarPrior() if self.prior == "exemplar_prior" else StandardNormal()


class TwoLevelSettings(VAESettings):
    """z2_size must equal z1_size, as their code takes for granted. The logit is of grey images' likelihood alone."""

    unread = ("no_attention",)

    z2_size: LatentDim = 40

    def network_arguments(self) -> dict[str, Any]:
        if self.z2_size != self.z1_size:
            raise WeightsError(f"config.z2_size: must equal z1_size, {self.z1_size}, got {self.z2_size}")
        return super().network_arguments()


class ConvolutionalSettings(TwoLevelSettings):
    """hidden_size is the width of the checkpoint's layers; their code ignores the setting and takes 300 units."""

    unread = ("same_variational_var",)


S = TypeVar("S", bound=VAESettings)


def _settings(kind: type[S], config: Mapping[str, Any], **known: Any) -> S:
    """The authors' arguments, perhaps under `args` in a file, without those that their network does not read."""
    given = {**config.get("args", config), **known}
    binary = ("use_logit",) if issubclass(kind, TwoLevelSettings) and given.get("input_type") == "binary" else ()
    return check_settings(kind, {name: value for name, value in given.items() if name not in kind.unread + binary})


class AuthorsVAE(nn.Module):
    """Flat images (B, pixels) in [0, 1] -> mean, log-scale (B, pixels), and latents, as their networks.

    Latents are z, its mean and log-variance; of two levels z1, its mean and log-variance, the same of z2, then those of
    p(z1 | z2). `network` is genkit's generator. Its exemplars are not in their checkpoints:
    `network.exemplars.replace(images)`.
    """

    def __init__(self, network: VAE):
        super().__init__()
        self.network = network

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """A sample of the posterior, under their name, so that a caller can replace its noise."""
        return torch.empty_like(mu).normal_() * (logvar / 2).exp() + mu

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | float, tuple[Tensor, ...]]:
        network, posteriors, priors = self.network.network, list[Tensor](), list[Tensor]()
        levels = network.levels(network.bottom_up(x.reshape(-1, *network.sample_shape)))
        z: Any = None
        for _ in network.latent_dims:
            prior, q = levels.send(z)
            assert q is not None
            z = self.reparameterize(*q)
            posteriors, priors = [z, *q, *posteriors], [*(prior or ()), *priors]
        return *self.decoded(network.decode(finish(levels, z))), (*posteriors, *priors)

    def decoded(self, pixels: Pixels) -> tuple[Tensor, Tensor | float]:
        """Means for the likelihood, and log-scales: zeros, or 0, for binary pixels, as in their code."""
        if pixels.log_scale is None:
            mean = pixels.mean.flatten(1)
            return mean, torch.zeros_like(mean[:1]) if len(self.network.latent_dims) == 1 else 0.0
        return pixels.mean.clamp(1 / 512, 1 - 1 / 512).flatten(1), pixels.log_scale.flatten(1)


def vae(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> AuthorsVAE:
    """Their `vae`: gated multilayer perceptrons, one level."""
    settings = _settings(VAESettings, config)
    names = {
        **_gated("encoder", "q_z_layers", range(2)),
        **_head("latent", "q_z_mean", "q_z_logvar.linear"),
        **_gated("decoder", "p_x_layers", range(2)),
        **layer_names("mean", "p_x_mean.linear"),
    }
    if settings.scaled:
        names |= {"log_scale": ("decoder_logstd",)}
    unused = ("p_x_logvar.linear.weight", "p_x_logvar.linear.bias")
    network = GatedVAENetwork(**settings.network_arguments())
    return AuthorsVAE(_loaded(network, state, settings, names, unused))


def hvae_2level(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> AuthorsVAE:
    """Their `hvae_2level`: gated multilayer perceptrons, two levels."""
    settings = _settings(TwoLevelSettings, config)
    names = {
        **_gated("encoder2", "q_z_layers", range(2)),
        **_head("latent2", "q_z_mean", "q_z_logvar.linear"),
        **_two_levels("linear", mean=""),
        **_gated("decoder", "p_x_layers_joint", range(1)),
        **layer_names("pixels.mean", "p_x_mean.linear"),
    }
    if settings.scaled:
        names |= layer_names("pixels.log_scale", "p_x_logvar.linear")
    network = GatedHVAENetwork(**settings.network_arguments())
    return AuthorsVAE(_loaded(network, state, settings, names, ("decoder_logstd",)))


def convhvae_2level(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> AuthorsVAE:
    """Their `convhvae_2level`."""
    first = own_part(state, "model").get("p_z1_layers_z2.0.h.weight")
    width = {} if first is None or first.dim() != 2 else {"hidden_size": len(first)}
    settings = _settings(ConvolutionalSettings, config, **width)
    names = {
        **_gated("encoder2", "q_z_layers", range(5)),
        **_head("latent2", "q_z_mean.linear", "q_z_logvar.linear"),
        **_gated("encoder1_x", "q_z1_layers_x", range(5)),
        **_two_levels("linear", mean=".linear"),
        **_gated("spread", "p_x_layers_joint_pre", range(1)),
        **_gated("decoder", "p_x_layers_joint", range(4)),
        **layer_names("pixels.mean", "p_x_mean.conv"),
    }
    if settings.scaled:
        names |= layer_names("pixels.log_scale", "p_x_logvar.conv")
    network = ConvHVAENetwork(**settings.network_arguments())
    return AuthorsVAE(_loaded(network, state, settings, names, ("decoder_logstd",)))


def _two_levels(kind: str, mean: str) -> dict[str, tuple[str, ...]]:
    """Names of the layers that both two-level networks share; `mean` is the ending of their mean layers' names."""
    return {
        **_gated("encoder1_x", "q_z1_layers_x", range(1)),
        **_gated("encoder1_z2", "q_z1_layers_z2", range(1)),
        **_gated("encoder1", "q_z1_layers_joint", range(1)),
        **_head("latent1", f"q_z1_mean{mean}", f"q_z1_logvar.{kind}"),
        **_gated("prior1", "p_z1_layers_z2", range(2)),
        **_head("prior1_head", f"p_z1_mean{mean}", f"p_z1_logvar.{kind}"),
        **_gated("decoder_z1", "p_x_layers_z1", range(1)),
        **_gated("decoder_z2", "p_x_layers_z2", range(1)),
    }


def _gated(ours: str, theirs: str, layers: Sequence[int]) -> dict[str, tuple[str, ...]]:
    parts = ((i, mine, other) for i in layers for mine, other in (("value", "h"), ("gate", "g")))
    return {
        k: v for i, mine, other in parts for k, v in layer_names(f"{ours}.{i}.{mine}", f"{theirs}.{i}.{other}").items()
    }


def _head(ours: str, mean: str, log_variance: str) -> dict[str, tuple[str, ...]]:
    return layer_names(f"{ours}.mean", mean) | layer_names(f"{ours}.log_variance", log_variance)


def _loaded(
    network: VAENetwork, state: Mapping[str, Tensor], settings: VAESettings, names: TensorNames, unused: Sequence[str]
) -> VAE:
    """The generator around `network`, its prior's parameters included; `unused` are tensors their code never reads."""
    likelihood = Logistic256() if settings.scaled else Bernoulli()
    generator = VAE(network, likelihood, settings.latent_prior())
    state = {k: v for k, v in own_part(state, "model").items() if not (settings.scaled and k in unused)}
    names = {f"network.{ours}": theirs for ours, theirs in names.items()}
    if settings.prior == "exemplar_prior":
        names["latent_prior.log_variance"] = ("prior_log_variance",)
        names["latent_prior.means"] = ("exemplars",)
        state = {"exemplars": generator.exemplars.means, **state}
    if settings.prior == "vampprior":
        names["latent_prior.pseudo_inputs"] = ("means.linear.weight",)
        state = {**state, **_pseudo_inputs(state, settings)}
    return load_named(generator, state, names)


def _pseudo_inputs(state: Mapping[str, Tensor], settings: VAESettings) -> dict[str, Tensor]:
    """Pseudo-inputs, which their code keeps as the columns of a linear layer without biases."""
    name, shape = "means.linear.weight", [settings.pixels, settings.number_components]
    weight = state.get(name)
    if weight is None:
        return {}
    if list(weight.shape) != shape:
        raise WeightsError(
            f"the checkpoint does not fit the layout: of another shape: {name} {list(weight.shape)} instead of {shape}"
        )
    return {name: weight.T.reshape(-1, *settings.input_size)}

"""Checkpoints of github.com/NVlabs/VAEBM (Xiao et al. 2021, arXiv:2010.00654): the energy networks.

Of a file that holds the VAE as well, the tensors under `ebm.` are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from genkit.foreign.authors_settings import Settings, check_settings, networks_of
from genkit.foreign.state_dict import layer_names, load_named, own_part
from genkit.layers.arguments import Channels, ImageSize, Width
from genkit.vae.energy.energy_network import EnergyNetwork, Plan

PLANS: dict[str, Plan] = {
    "EBM_MNIST": "mnist",
    "EBM_CIFAR32": "cifar10",
    "EBM_CelebA64": "celeba64",
    "EBM_LSUN64": "lsun64",
    "EBM_CelebA256": "celeba256",
}
SIZES: dict[Plan, int] = {"mnist": 28, "cifar10": 32, "celeba64": 64, "lsun64": 64, "celeba256": 256}
CONV = (("v", "weight"), ("log_norm", "log_weight_norm"), ("bias", "bias"))
STARTED = "started"
"""Buffer that their checkpoints lack: without it the norms would be set anew at the next forward pass."""
EXAMPLES = {"energy": {"cls": "EBM_CIFAR32", "mid_channel": 128}}
"""Layout -> settings of a checkpoint."""


class EnergySettings(Settings):
    """cls: the class. mid_channel: channels of the first layer. nc: of the image. size: its side; None is the data's
    that the class is named after, and no tensor shows it.
    """

    cls: Literal["EBM_MNIST", "EBM_CIFAR32", "EBM_CelebA64", "EBM_LSUN64", "EBM_CelebA256"]
    mid_channel: Width
    nc: Channels = 3
    size: ImageSize | None = None


def energy(state: Mapping[str, Tensor], config: Mapping[str, Any]) -> EnergyNetwork:
    """Their `EBM_*`: images (B, nc, size, size) in [0, 1] -> energies (B,)."""
    settings, state = check_settings(EnergySettings, config), own_part(state, "ebm")
    plan = PLANS[settings.cls]
    with networks_of("config."):
        network = EnergyNetwork(plan, settings.size or SIZES[plan], settings.nc, settings.mid_channel)
    names = {**_conv_names("stem", "conv1"), **layer_names("head", "linear"), STARTED: (STARTED,)}
    ours = network.state_dict()
    for i in range(len(network.blocks)):
        names |= _conv_names(f"blocks.{i}.conv1", f"blocks.{i}.conv1")
        names |= _conv_names(f"blocks.{i}.conv2", f"blocks.{i}.conv2")
        if f"blocks.{i}.skip.v" in ours:
            names |= _conv_names(f"blocks.{i}.skip", f"blocks.{i}.skip.0", bias=False)
    return load_named(network, {**state, STARTED: torch.tensor(True)}, names)


def _conv_names(ours: str, theirs: str, bias: bool = True) -> dict[str, tuple[str, ...]]:
    tensors = CONV if bias else CONV[:2]
    return {f"{ours}.{mine}": (f"{theirs}.{name}",) for mine, name in tensors}

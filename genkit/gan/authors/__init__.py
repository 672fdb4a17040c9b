"""Checkpoints of GAN papers' own code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.core.pretrained import Pretrained


def product(network: Pretrained, layout: str, config: Mapping[str, Any]) -> Pretrained:
    """A generator made of a network that takes latents, else the network itself."""
    from genkit.gan.gan import GAN
    from genkit.gan.networks.latent import LatentNetwork

    return GAN(network=network) if isinstance(network, LatentNetwork) else network

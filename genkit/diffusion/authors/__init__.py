"""Checkpoints of diffusion papers' own code, and of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genkit.core.pretrained import Pretrained


def from_flags(layout: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that OpenAI's scripts derive from their flags."""
    from genkit.diffusion.authors import script_flags

    return script_flags.from_flags(layout, flags)


def product(network: Pretrained, layout: str, config: Mapping[str, Any]) -> Pretrained:
    """A generator made of a denoiser, an upsampler of one that sees small images, a noisy classifier of an encoder;
    else the network itself."""
    from genkit.diffusion.authors import diffusion_settings
    from genkit.diffusion.networks.denoiser import Denoiser, NoisyEncoder

    if isinstance(network, Denoiser):
        return diffusion_settings.ddpm(network, layout, config)
    if isinstance(network, NoisyEncoder):
        return diffusion_settings.noisy_classifier(network, layout, config)
    return network

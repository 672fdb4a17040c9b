"""Checkpoints of diffusion papers' own code, and of diffusers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genkit.core.pretrained import Pretrained


def from_flags(layout: str, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that OpenAI's scripts derive from their flags."""
    from genkit.diffusion.authors import script_flags

    return script_flags.from_flags(layout, flags)


def of_command_line(layout: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The flags in a command line of OpenAI's scripts, and the names of those that say nothing of the network."""
    from genkit.diffusion.authors import script_flags

    return script_flags.of_command_line(layout, words)


def example_flags(layout: str) -> Mapping[str, Any] | None:
    """Flags of a published checkpoint of the layout; None where it has none."""
    from genkit.diffusion.authors import script_flags

    return script_flags.EXAMPLES.get(layout)


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

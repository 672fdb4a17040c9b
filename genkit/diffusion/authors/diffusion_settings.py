"""Generators and noisy classifiers from OpenAI's networks and the flags of their scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from genkit.core.errors import WeightsError
from genkit.diffusion.authors.guided_diffusion import constructor
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.networks.denoiser import Denoiser, NoisyEncoder
from genkit.diffusion.networks.unet import SuperResolutionUNet
from genkit.diffusion.noisy_classifier import NoisyClassifier
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import DDIM, Ancestral, Solver
from genkit.diffusion.upsampler import Upsampler
from genkit.foreign.authors_settings import Settings, check_settings, networks_of


class DiffusionSettings(Settings):
    """Flags of guided-diffusion's and improved-diffusion's scripts, with their defaults.

    They may stand beside the arguments of the network. A default that differs between the two is None here:
    `rescale_timesteps` is on in improved-diffusion alone. `learn_sigma` is only compared with the network.
    """

    diffusion_steps: Annotated[int, Field(ge=2, le=100_000)] = 1000
    noise_schedule: Literal["linear", "cosine"] = "linear"
    learn_sigma: bool | None = None
    sigma_small: bool = False
    predict_xstart: bool = False
    rescale_timesteps: bool | None = None
    timestep_respacing: str | int = ""
    use_ddim: bool = False

    def process(self, layout: str, *, learns_variance: bool) -> Process:
        """The process that the network was trained on."""
        fixed: Literal["fixed_small", "fixed_large"] = "fixed_small" if self.sigma_small else "fixed_large"
        improved = layout.startswith("improved-diffusion/")
        return Process(
            steps=self.diffusion_steps,
            schedule=self.noise_schedule,
            prediction="x0" if self.predict_xstart else "eps",
            variance="learned_range" if learns_variance else fixed,
            rescale_steps=improved if self.rescale_timesteps is None else self.rescale_timesteps,
        )

    def solver(self, process: Process) -> Solver:
        """The solver that their scripts would sample with.

        Raises:
            WeightsError: the process cannot be respaced so.
        """
        solver = (DDIM if self.use_ddim else Ancestral)(steps=str(self.timestep_respacing))
        with networks_of("config.timestep_respacing: "):
            solver.process_of(process)
        return solver


def ddpm(network: Denoiser, layout: str, config: Mapping[str, Any]) -> DDPM:
    """The network as a generator.

    Raises:
        WeightsError: a flag out of range, or learn_sigma against the network's channels.
    """
    settings = _settings(config)
    learns = network.outputs == 2 * network.sample_shape[0]
    if settings.learn_sigma not in (None, learns):
        raise WeightsError(
            f"config.learn_sigma: got {settings.learn_sigma}, but a network of {network.outputs} output channels "
            f"{'learns' if learns else 'does not learn'} its variance"
        )
    process = settings.process(layout, learns_variance=learns)
    if isinstance(network, SuperResolutionUNet):
        return Upsampler(network, process, settings.solver(process))
    return DDPM(network, process, settings.solver(process))


def noisy_classifier(network: NoisyEncoder, layout: str, config: Mapping[str, Any]) -> NoisyClassifier:
    """The network with the process whose images it classifies.

    Raises:
        WeightsError: a flag out of range.
    """
    settings = _settings(config)
    return NoisyClassifier(network, settings.process(layout, learns_variance=bool(settings.learn_sigma)))


def _settings(config: Mapping[str, Any]) -> DiffusionSettings:
    return check_settings(DiffusionSettings, {**constructor(config), **config})

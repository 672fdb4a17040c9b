"""Small DDPMs and pipelines of diffusers, and their chains on given noise."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor

from genkit.core.randomness import Randomness, Sampler
from genkit.diffusion.ddpm import DDPM
from genkit.diffusion.networks.unet import UNet
from genkit.diffusion.networks.unet_plan import UNetPlan
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Solver

TINY: dict[str, Any] = {"size": 8, "channels": 1, "width": 8, "multipliers": [1, 2], "blocks": 1}
TINY |= {"attention": [4], "head_width": 8}

GOOGLE: dict[str, Any] = {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [16, 32],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-06,
    "norm_num_groups": 16,
    "out_channels": 3,
    "sample_size": 8,
    "time_embedding_type": "positional",
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}
"""The settings of google/ddpm-cifar10-32, made small."""


class Given(Randomness):
    """Hands out recorded noise, in order."""

    def __init__(self, noise: Tensor):
        self.noise = list(noise)

    def draw(self, sampler: Sampler) -> Tensor:
        return self.noise.pop(0)


def noise(steps: int, *shape: int) -> Tensor:
    """(steps, *shape), the first for x_T."""
    return torch.randn(steps, *shape, generator=torch.Generator().manual_seed(1))


def ddpm(solver: Solver | None = None, *, network: Any = None, **process: Any) -> DDPM:
    """With weights large enough that clipping matters, though its last layers start at zero."""
    torch.manual_seed(0)
    process = {"schedule": "cosine", "variance": "fixed_large", **process}
    network = UNet(UNetPlan(**{**TINY, **(network or {}), "variance": "learned" in process["variance"]}))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1) if parameter.dim() > 1 else parameter.data.add_(0.05)
    return DDPM(network, Process(**process), solver).eval()


@torch.no_grad()
def our_chain(generator: DDPM, given: Tensor, label: Tensor | None = None) -> Tensor:
    condition = {} if label is None else {"label": label}
    x = generator.solver.run(generator.denoising(condition), Given(given), generator.sample_shape)
    return x.clamp(-1, 1)


@torch.no_grad()
def their_chain(pipeline: Any, steps: int, given: Tensor, label: Tensor | None = None, **step: Any) -> Tensor:
    """The loop of DDPMPipeline and DDIMPipeline, with noise from `given`."""
    rest, x = list(given[1:]), given[0]
    pipeline.scheduler.set_timesteps(steps)
    for t in pipeline.scheduler.timesteps:
        output = pipeline.unet(x, t, class_labels=label).sample
        x = _step(pipeline.scheduler, output, t, x, rest, step)
    return x.clamp(-1, 1)


def _step(scheduler: Any, output: Tensor, t: Tensor, x: Tensor, rest: list[Tensor], step: dict[str, Any]) -> Tensor:
    """Their schedulers draw noise by `randn_tensor`; it is replaced for this step. DDIM draws some for weight 0."""
    module = sys.modules[type(scheduler).__module__]
    drawn, module.randn_tensor = module.randn_tensor, lambda *_, **__: rest.pop(0) if rest else x  # type: ignore[attr-defined]
    try:
        moved: Tensor = scheduler.step(output, t, x, **step).prev_sample
    finally:
        module.randn_tensor = drawn  # type: ignore[attr-defined]
    return moved

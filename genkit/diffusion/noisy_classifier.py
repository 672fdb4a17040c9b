"""The classifier of noisy images that guides a diffusion model. Dhariwal & Nichol 2021, arXiv:2105.05233, Sec. 4."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from genkit.core.generator import evaluating
from genkit.core.pretrained import Pretrained
from genkit.diffusion.denoising import steps_like
from genkit.diffusion.networks.denoiser import NoisyEncoder
from genkit.diffusion.process import Process

LEVELS = 5
"""Noise levels that accuracy is given for, evenly spread from the first step to the last."""


class NoisyClassifier(Pretrained, nn.Module):
    """log p(y | x_t, t) of the images of one process.

    Args:
        network: from (x_t, t) to logits.
        process: the noise of the images; a diffusion model that is to be guided must have the same.
    """

    judged_by = "genkit.evaluation.judges:ByAccuracy"

    def __init__(self, network: NoisyEncoder, process: Process):
        super().__init__()
        self.network, self.process = network, process
        self.sample_shape, self.classes = tuple(network.sample_shape), network.classes

    @property
    def device(self) -> torch.device:
        return self.process.timesteps.device

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (B, C, H, W), timesteps (B,), see `Process` -> logits (B, classes) float32."""
        return self.network(x_t, t).float()

    def log_probability(self, x_t: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """log p(label | x_t), (B,)."""
        return self(x_t, t).log_softmax(1).gather(1, rearrange(label, "b -> b 1")).squeeze(1)

    @torch.no_grad()
    def right(self, x: Tensor, label: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """See genkit.evaluation.classification; "accuracy" is over uniformly drawn steps."""
        steps = len(self.process)
        noise = torch.randn(x.shape, generator=rng).to(x.device)
        anywhere = torch.randint(steps, (len(x),), generator=rng).to(x.device)
        at = {"accuracy": anywhere}
        for k in range(LEVELS):
            step = round(k * (steps - 1) / (LEVELS - 1))
            at[f"accuracy_at_{self.process.kept[step]}"] = steps_like(step, x)
        with evaluating(self):
            logits = {name: self(self.process.noised(x, i, noise), self.process.timesteps[i]) for name, i in at.items()}
        return {name: found.argmax(1) == label for name, found in logits.items()}

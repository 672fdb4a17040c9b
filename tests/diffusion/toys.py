"""A denoiser and a classifier of noisy images that are plain to see through, and remember their calls."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genkit.diffusion.networks.denoiser import Denoiser, NoisyEncoder

SIDE = 4


class Toy(Denoiser):
    """Its answer leans on the image, the step and the label, and is no straight line."""

    def __init__(self, classes: int = 0, unlabelled: bool = False, variance: bool = False):
        super().__init__()
        self.sample_shape, self.outputs = (1, SIDE, SIDE), 1 + variance
        self.classes, self.unlabelled = classes, unlabelled
        self.gain = nn.Parameter(torch.tensor(0.8))
        shifts = torch.linspace(-0.3, 0.4, classes + unlabelled) if classes else torch.zeros(0)
        self.shifts = nn.Parameter(shifts)
        self.rows: list[int] = []

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        assert (y is not None) == bool(self.classes) and len(x) == len(t)
        self.rows.append(len(x))
        eps = (self.gain * x + 0.1 * x.flip(-1) + 0.0002 * t.view(-1, 1, 1, 1)).tanh()
        eps = eps if y is None else eps + self.shifts[y].view(-1, 1, 1, 1)
        return torch.cat([eps, eps.sin()], 1) if self.outputs == 2 else eps


class Brightness(NoisyEncoder):
    """Calls bright images 1, the surer the higher `gain`."""

    def __init__(self, gain: float = 5.0, size: int = SIDE, classes: int = 2):
        super().__init__()
        self.sample_shape, self.classes, self.gain = (1, size, size), classes, gain
        self.seen: list[Tensor] = []
        self.timesteps: list[Tensor] = []
        self.dropout = nn.Dropout(0.9)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.seen.append(x.detach().clone())
        self.timesteps.append(t)
        bright = self.gain * self.dropout(x).mean((1, 2, 3))
        return torch.stack([-bright, bright], 1).double()

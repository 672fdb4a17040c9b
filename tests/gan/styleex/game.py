"""A tiny StyleEx whose classifier is known: its logits are the mean of the left and of the right half."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.frozen import freeze
from genkit.gan.slots import Term
from genkit.gan.styleex.styleex import StyleEx
from genkit.gan.styleex.styleex_training import StyleExTraining
from genkit.gan.stylegan2.critic import StyleGAN2Critic
from genkit.gan.stylegan2.encoder import StyleGAN2Encoder
from genkit.gan.stylegan2.generator import StyleGAN2Generator

SMALL: dict[str, Any] = {"size": 8, "channels": 1, "widths": [6, 4]}


class Halves(nn.Module):
    """Counts how often it is asked."""

    sample_shape, classes, class_names = (1, 8, 8), 2, ("left", "right")

    def __init__(self, scale: float = 3.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return self.scale * torch.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], 1)


def styleex(classifier: nn.Module | None = None, appended: int = 2, **network: Any) -> StyleEx:
    torch.manual_seed(0)
    generator = StyleGAN2Generator(5, style_dim=6, depth=2, appended=appended, **{**SMALL, **network})
    return StyleEx(generator, StyleGAN2Encoder(style_dim=6, **SMALL), freeze(classifier or Halves()))


def training(*terms: Term, generator: StyleEx | None = None, **slots: Any) -> StyleExTraining:
    generator = generator or styleex()
    critic = slots.pop("critic", None) or StyleGAN2Critic(outputs=generator.network.appended, **SMALL)
    return StyleExTraining(generator, critic, penalties=list(terms), **slots)


def pictures(n: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1


class Pictures:
    """Real images without labels."""

    name, fingerprint = "pictures", "pictures"

    def __init__(self, n: int = 24):
        self.x = pictures(n)

    def __len__(self) -> int:
        return len(self.x)

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        return self.x[index]

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        return {}

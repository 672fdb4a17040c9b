"""What a diffusion model needs of a network, and what a noisy classifier needs of one."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from genkit.core.pretrained import Pretrained


class Denoiser(Pretrained, nn.Module, ABC):
    """Predicts from a noisy image and its step.

    Attributes:
        sample_shape: (C, H, W) of what it takes.
        outputs: channels of what it makes: C, or 2C when it also says the variance (prediction first, then variance).
        classes: 0 when unconditional.
        unlabelled: whether label number `classes` stands for "no label", as classifier-free guidance needs.
    """

    sample_shape: tuple[int, ...]
    outputs: int
    classes: int
    unlabelled: bool

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional, label (B,) int64 -> (B, outputs, H, W)."""


class NoisyEncoder(Pretrained, nn.Module, ABC):
    """Classifies a noisy image, given its step.

    Attributes:
        sample_shape: (C, H, W) of what it takes.
        classes: how many logits it makes.
    """

    sample_shape: tuple[int, ...]
    classes: int

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional -> logits (B, classes)."""

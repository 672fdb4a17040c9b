"""The contracts of the networks of a diffusion model and of a noisy classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from genkit.core.pretrained import Pretrained


class Denoiser(Pretrained, nn.Module, ABC):
    """Predicts from a noisy image and its step.

    Attributes:
        sample_shape: (C, H, W) of the images that it takes.
        outputs: channels of its output: C, or 2C with the variance (prediction first, then variance).
        classes: 0 when unconditional.
        unlabelled: true if the label `classes` stands for "no label", as classifier-free guidance needs.
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
        sample_shape: (C, H, W) of the images that it takes.
        classes: number of logits.
    """

    sample_shape: tuple[int, ...]
    classes: int

    @abstractmethod
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, C, H, W), step (B,) whole or fractional -> logits (B, classes)."""

"""What the networks behind a variational autoencoder have in common, however many levels of latents they have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from genkit.core.pretrained import Pretrained
from genkit.vae.networks.gaussian import Gaussian

Side = Annotated[int, Field(ge=4, le=256)]
Size = Side | tuple[Side, Side]
"""Height and width, or one number for both."""


def height_width(size: Size) -> tuple[int, int]:
    """`size` as two numbers."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


@dataclass(frozen=True)
class Pixels:
    """What a decoder says of every pixel.

    Attributes:
        mean: (B, C, H, W) in [0, 1].
        log_scale: like mean, the logarithm of a width; None where the network says none.
    """

    mean: Tensor
    log_scale: Tensor | None = None


class VAENetwork(Pretrained, nn.Module, ABC):
    """Encoders and decoder. Levels are ordered from the top, which the prior is put on, down to the pixels.

    With latents z_1 (top), ..., z_L: q(z_l | x, z_1..z_(l-1)) is `posterior`, p(z_l | z_1..z_(l-1)) is `prior` for
    l > 1, and p(x | z_1..z_L) is `decode`.

    Attributes:
        sample_shape: (C, H, W). Images are in [0, 1] here, as the likelihood hands them over.
        latent_dims: width of each level, top first.
        scaled: whether `decode` says a scale beside the mean.
        autoregressive: whether `decode` looks at the pixels of `x` above and to the left of the one it describes.
    """

    sample_shape: tuple[int, int, int]
    latent_dims: tuple[int, ...]
    scaled: bool
    autoregressive: bool = False

    @abstractmethod
    def posterior(self, x: Tensor, *above: Tensor) -> Gaussian:
        """q of the level below `above`, each (B, D_l); of the top level when there are none."""

    def prior(self, *above: Tensor) -> Gaussian:
        """p of the level below `above`; only networks of several levels have one."""
        raise NotImplementedError(f"{type(self).__name__} has one level of latents")

    @abstractmethod
    def decode(self, *latents: Tensor, x: Tensor | None = None) -> Pixels:
        """All levels, top first, -> pixels; an autoregressive decoder also needs the image x (B, C, H, W)."""

"""The contract of the networks of a variational autoencoder, with any number of levels of latents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from genkit.core.pretrained import Pretrained
from genkit.vae.networks.gaussian import Flowed, Gaussian
from genkit.vae.networks.logistic_mixture import LogisticMixture

Side = Annotated[int, Field(ge=4, le=256)]
Size = Side | tuple[Side, Side]
"""Height and width, or one number for both."""


def height_width(size: Size) -> tuple[int, int]:
    """`size` as two numbers."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


class Pixels(NamedTuple):
    """The distribution of every pixel, as a decoder gives it.

    Attributes:
        mean: (B, C, H, W) in [0, 1].
        log_scale: like mean, the logarithm of a width; None where the network gives none.
        logits: like mean, the log-odds whose sigmoid it is; None where it is none.
        mixture: of logistics, whose mean it is; None where it is none.
    """

    mean: Tensor
    log_scale: Tensor | None = None
    logits: Tensor | None = None
    mixture: LogisticMixture | None = None

    @classmethod
    def of_logits(cls, logits: Tensor, log_scale: Tensor | None = None) -> Pixels:
        """Means that are the sigmoid of `logits`."""
        return cls(logits.sigmoid(), log_scale, logits)

    @classmethod
    def of_mixture(cls, mixture: LogisticMixture) -> Pixels:
        """Of a mixture of pixels in [-1, 1]."""
        return cls((mixture.expected() / 2 + 0.5).clamp(0, 1), mixture=mixture)


class Level(NamedTuple):
    """One level of latents, given those above it: z_l.

    Attributes:
        prior: p(z_l | z_1..z_(l-1)); None at the top, whose prior is the VAE's.
        posterior: q(z_l | x, z_1..z_(l-1)); None where no image was seen.
    """

    prior: Gaussian | None
    posterior: Gaussian | Flowed | None


Seen = tuple[Any, ...]
"""Result of a bottom-up pass over images, a tree of tensors (B, ...): q(z_1 | x), then inputs of the levels below."""
Levels = Generator[Level, Any, Any]
"""Yields the levels from the top down, is sent the z of each, (B, D_l), returns the argument of `VAENetwork.decode`."""


def finish(levels: Levels, z: Tensor) -> Any:
    """Sends the z of the last level; returns the return value of `levels`."""
    try:
        levels.send(z)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a network has more levels than its latent_dims")


class VAENetwork(Pretrained, nn.Module, ABC):
    """Encoders and decoder. Levels are ordered from the top, which the VAE's prior is put on, down to the pixels.

    An image is seen once, by `bottom_up`; the levels follow from the top down, each with its prior and posterior, and
    wait for a z. The caller decides on it: a sample of the posterior for a bound, of the prior for an image.

        levels = network.levels(network.bottom_up(x))
        z, log_q = next(levels).posterior.drawn(noise)
        z, log_q = levels.send(z).posterior.drawn(noise)
        pixels = network.decode(finish(levels, z), x)

    Attributes:
        sample_shape: (C, H, W). Images are in [0, 1] here, as the likelihood passes them on.
        latent_dims: width of each level, top first.
        scaled: whether `decode` gives a scale beside the mean.
        mixture: components of the mixture that `decode` gives beside the mean; 0 for none.
        autoregressive: whether `decode` looks at the pixels of `x` above and to the left of the one it describes.
        rows: most latents at a time when a bound of many samples is computed.
    """

    sample_shape: tuple[int, int, int]
    latent_dims: tuple[int, ...]
    scaled: bool
    mixture: int = 0
    autoregressive: bool = False
    rows: int = 8192

    @abstractmethod
    def posterior(self, x: Tensor) -> Gaussian:
        """q(z_1 | x) of images (B, C, H, W): of the top level alone."""

    def bottom_up(self, x: Tensor) -> Seen:
        """One pass over images (B, C, H, W)."""
        return (self.posterior(x),)

    @abstractmethod
    def levels(self, seen: Seen | None = None) -> Levels:
        """The levels for images that were `seen`, or for none."""

    @abstractmethod
    def decode(self, h: Any, x: Tensor | None = None) -> Pixels:
        """Return value of `levels` -> pixels; an autoregressive decoder also needs the image x (B, C, H, W)."""

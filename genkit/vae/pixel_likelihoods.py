"""p(x | z) of a variational autoencoder, and the conversion of 8-bit images to inputs of its networks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genkit.core.precision import full
from genkit.core.pretrained import Configured
from genkit.images.pixels import from_unit, to_unit
from genkit.vae.networks.gaussian import LOG_2PI
from genkit.vae.networks.logistic_mixture import log_bin, nearest_level
from genkit.vae.networks.vae_network import Pixels

LEAST_PROBABILITY = 1e-5
"""Of a value of a binary pixel."""
MOST_LOGIT = math.log((1 - LEAST_PROBABILITY) / LEAST_PROBABILITY)


class PixelLikelihood(Configured, ABC):
    """The likelihood of pixels. Values are the networks' inputs, (B, C, H, W) in [0, 1].

    Attributes:
        scaled: whether the decoder must give a scale.
        noisy: whether an observation of an image is random.
        binary: whether observed pixels are 0 or 1.
        mixed: whether the decoder must give a mixture of logistics.
    """

    scaled: bool
    noisy: bool
    binary: bool = False
    mixed: bool = False

    def values(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] -> values of the same shape, without noise, as for exemplars."""
        return to_unit(x)

    def images(self, values: Tensor) -> Tensor:
        """Values, or a decoder's means, -> images in [-1, 1]."""
        return from_unit(values)

    @abstractmethod
    def observe(self, values: Tensor, uniform: Tensor | None) -> Tensor:
        """An observation, which is what p models; `uniform` on [0, 1), like values, where the likelihood is noisy."""

    @abstractmethod
    def log_prob(self, observed: Tensor, pixels: Pixels) -> Tensor:
        """log p(observed | pixels), summed over the image, (B,) in nats."""

    @abstractmethod
    def draw(self, pixels: Pixels, uniform: Tensor) -> Tensor:
        """One observation of each pixel, from `uniform` on [0, 1) like the mean."""


class Bernoulli(PixelLikelihood):
    """Pixels are 0 or 1, drawn anew with the grey level as probability at every visit (dynamic binarisation).

    Salakhutdinov & Murray 2008. Probabilities are cut to [1e-5, 1 - 1e-5], as in Norouzi et al. 2020's code.
    """

    scaled, noisy, binary = False, True, True

    def __init__(self) -> None: ...

    def observe(self, values: Tensor, uniform: Tensor | None) -> Tensor:
        assert uniform is not None
        return (uniform < values).to(values.dtype)

    def log_prob(self, observed: Tensor, pixels: Pixels) -> Tensor:
        if pixels.logits is None:
            logits = full(pixels.mean).logit(LEAST_PROBABILITY)
        else:
            logits = full(pixels.logits).clamp(-MOST_LOGIT, MOST_LOGIT)
        return -F.binary_cross_entropy_with_logits(logits, observed, reduction="none").flatten(1).sum(1)

    def draw(self, pixels: Pixels, uniform: Tensor) -> Tensor:
        return (uniform < pixels.mean).to(uniform.dtype)


class Logistic256(PixelLikelihood):
    """256 grey levels, each the probability of its bin under a logistic distribution. Kingma et al. 2016, Sec. 5.

    Level k is the bin [k/256, (k + 1)/256) and enters the networks as its middle. As in Norouzi et al. 2020's code
    means are cut to [1/512, 1 - 1/512] and 1e-7 is added to the probability; the outermost bins are not extended to
    infinity, so that probabilities sum to a little less than one.
    """

    scaled, noisy = True, False

    def __init__(self) -> None: ...

    def values(self, x: Tensor) -> Tensor:
        return ((to_unit(x) * 255).round() + 0.5) / 256

    def images(self, values: Tensor) -> Tensor:
        return from_unit((values * 256 - 0.5) / 255)

    def observe(self, values: Tensor, uniform: Tensor | None) -> Tensor:
        return values

    def log_prob(self, observed: Tensor, pixels: Pixels) -> Tensor:
        assert pixels.log_scale is not None
        scale = full(pixels.log_scale).exp()
        low = ((observed * 256).floor() / 256 - _cut(pixels.mean)) / scale
        inside = torch.sigmoid(low + 1 / 256 / scale) - torch.sigmoid(low)
        return (inside + 1e-7).log().flatten(1).sum(1)

    def draw(self, pixels: Pixels, uniform: Tensor) -> Tensor:
        assert pixels.log_scale is not None
        drawn = _cut(pixels.mean) + pixels.log_scale.exp() * torch.logit(uniform, eps=1e-6)
        return ((drawn * 256).floor().clamp(0, 255) + 0.5) / 256


Bits = Annotated[int, Field(ge=1, le=8)]


class DiscretisedLogistic(PixelLikelihood):
    """2^bits levels k / (2^bits - 1), each the probability of its bin under a logistic distribution of its pixel.

    The bins lie around the levels, and the outermost reach to infinity (Salimans et al. 2017, arXiv:1701.05517, sec.
    2.1). Log_scales of pixels in [-1, 1] are at least -8.

    Args:
        bits: of a grey level; fewer than 8 drop the lowest ones of an image.
    """

    scaled, noisy = True, False

    def __init__(self, bits: Bits = 8):
        self.bits, self.levels = bits, 2**bits

    def values(self, x: Tensor) -> Tensor:
        return ((to_unit(x) * 255).round() / (256 // self.levels)).floor() / (self.levels - 1)

    def observe(self, values: Tensor, uniform: Tensor | None) -> Tensor:
        return values

    def log_prob(self, observed: Tensor, pixels: Pixels) -> Tensor:
        return self.of_pixels(observed, pixels).flatten(1).sum(1)

    def of_pixels(self, observed: Tensor, pixels: Pixels) -> Tensor:
        """log p of each pixel and channel, (B, C, H, W)."""
        mean, log_scale = self._in_signed_units(pixels)
        return log_bin(2 * observed - 1, mean, log_scale, self.levels)

    def draw(self, pixels: Pixels, uniform: Tensor) -> Tensor:
        mean, log_scale = self._in_signed_units(pixels)
        return nearest_level(mean + log_scale.exp() * torch.logit(uniform, eps=1e-5), self.levels) / 2 + 0.5

    @staticmethod
    def _in_signed_units(pixels: Pixels) -> tuple[Tensor, Tensor]:
        """Mean and log_scale of pixels in [-1, 1]."""
        assert pixels.log_scale is not None
        return 2 * full(pixels.mean) - 1, (full(pixels.log_scale) + math.log(2)).clamp(min=-8)


class MixedLogistics(DiscretisedLogistic):
    """2^bits levels, each the probability of its bin under a mixture of logistics; in a component, green depends on red
    and blue on both. Salimans et al. 2017, arXiv:1701.05517; the likelihood of NVAE's colour images.

    Args:
        bits: of a grey level; fewer than 8 drop the lowest ones of an image.
    """

    scaled, mixed = False, True

    def of_pixels(self, observed: Tensor, pixels: Pixels) -> Tensor:
        """log p of each pixel, all channels together, (B, H, W)."""
        assert pixels.mixture is not None
        return pixels.mixture.log_prob(2 * observed - 1, self.levels)

    def draw(self, pixels: Pixels, uniform: Tensor) -> Tensor:
        assert pixels.mixture is not None
        return pixels.mixture.drawn(uniform, self.levels) / 2 + 0.5


class GaussianPixels(PixelLikelihood):
    """N(mean, width^2) for each pixel, as in VAEBM's NVAE: samples are a differentiable function of noise.

    A width is exp(log_scale) + 0.005; the logarithm is cut from below in the log-density alone, as in the code of Xiao
    et al. 2021: without that, pixels that never change have a density without bound. The default is their
    exp(-2) + 0.01 of pixels in [-1, 1]. A decoder may give less, and its samples then have that width.

    Level k / 255 is observed anywhere in its bin, of width 1 / 255, uniformly; the log-density there less log 255 for
    each pixel is, in the mean, a lower bound on the level's log-probability (Theis et al. 2016, arXiv:1511.01844), to
    be compared with that of `logistic_256`. The authors train on the density of levels as they are.

    Args:
        floor: the least log_scale that the log-density takes, of values in [0, 1].
    """

    scaled, noisy = True, True

    def __init__(self, floor: float = -2 - math.log(2)):
        self.floor = floor

    def observe(self, values: Tensor, uniform: Tensor | None) -> Tensor:
        assert uniform is not None
        return values + (uniform - 0.5) / 255

    def log_prob(self, observed: Tensor, pixels: Pixels) -> Tensor:
        assert pixels.log_scale is not None
        width = full(pixels.log_scale).clamp(min=self.floor).exp() + LEAST_WIDTH
        squares = ((observed - full(pixels.mean)) / width).square()
        return (-0.5 * (squares + LOG_2PI) - width.log() - math.log(255)).flatten(1).sum(1)

    def at(self, pixels: Pixels, noise: Tensor) -> Tensor:
        """The sample made from standard normal `noise`, like the mean, cut to [0, 1]; with a graph."""
        assert pixels.log_scale is not None
        return (full(pixels.mean) + (full(pixels.log_scale).exp() + LEAST_WIDTH) * noise).clamp(0, 1)

    def draw(self, pixels: Pixels, uniform: Tensor) -> Tensor:
        return self.at(pixels, torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6)))


LEAST_WIDTH = 0.005
"""Added to every width of `GaussianPixels`: 0.01 of pixels in [-1, 1]."""


def _cut(mean: Tensor) -> Tensor:
    return full(mean).clamp(1 / 512, 1 - 1 / 512)

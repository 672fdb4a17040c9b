"""The exemplars of a generator, which can be read, replaced and extended without training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genkit.core.errors import DataError
from genkit.core.fingerprint import fingerprint
from genkit.core.system import Items
from genkit.images.pixels import from_uint8, to_uint8
from genkit.vae.latent_priors import ExemplarPrior

CHUNK = 1024
"""Images that are encoded at a time."""


class Exemplars:
    """The exemplars that a prior is centred on.

    Args:
        prior: holds their means.
        encode: images in [-1, 1] -> means.
        sample_shape: (C, H, W) of one image.
    """

    def __init__(self, prior: ExemplarPrior, encode: Callable[[Tensor], Tensor], sample_shape: tuple[int, ...]):
        self._prior, self._encode, self._sample_shape = prior, encode, sample_shape

    def __len__(self) -> int:
        return self._prior.exemplars

    @property
    def origin(self) -> list[dict[str, Any]]:
        """`{data, fingerprint, items}` of every set that they came from, in order."""
        return self._prior.origin

    @property
    def means(self) -> Tensor:
        """(N, D)."""
        return self._prior.means

    def replace(self, images: Tensor | Items) -> None:
        """Generates by `images` from now on.

        Args:
            images: (N, C, H, W), uint8 or in [-1, 1], or a data set.

        Raises:
            DataError: none, or of another shape or range.
        """
        means, origin = self._encoded(images)
        self._prior.put(means, [origin])

    def extend(self, images: Tensor | Items) -> None:
        """Generates by `images` too; arguments and errors as `replace`."""
        means, origin = self._encoded(images)
        self._prior.put(torch.cat([self._prior.means, means]), [*self._prior.origin, origin])

    def _encoded(self, images: Tensor | Items) -> tuple[Tensor, dict[str, Any]]:
        items = _Images(images) if isinstance(images, Tensor) else images
        if not len(items):
            raise DataError("there must be at least one exemplar, got none")
        shape = tuple(items.rows(torch.tensor([0])).shape[1:])
        if shape != self._sample_shape:
            raise DataError(f"exemplars are {list(self._sample_shape)} here, got {list(shape)}")
        with torch.no_grad():
            means = [self._encode(items.rows(rows)) for rows in torch.arange(len(items)).split(CHUNK)]
        return torch.cat(means), {"data": items.name, "fingerprint": items.fingerprint, "items": len(items)}


class _Images:
    """A tensor of images, as a data set."""

    name = "images"

    def __init__(self, images: Tensor):
        self.x = images if images.dtype == torch.uint8 or not len(images) else to_uint8(images)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.x)

    def rows(self, index: Tensor) -> Tensor:
        return from_uint8(self.x[index])

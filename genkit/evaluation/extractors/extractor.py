"""Extractors: images to the features that scores compare, with everything that a score must say about them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genkit.core.computing import exact
from genkit.core.errors import EvaluationError
from genkit.core.evaluating import evaluating
from genkit.evaluation.extractors.resize import RESIZES
from genkit.images.pixels import to_channels

POINTS = "points"
"""Name of the extractor that returns points as they are."""


@dataclass(frozen=True)
class Extracted:
    """Features (B, d), and logits (B, classes) when the network is a classifier; on the CPU."""

    features: Tensor
    logits: Tensor | None = None


@dataclass(frozen=True, eq=False)
class FeatureGaussian:
    """Mean (d,) and covariance (d, d), float64, of the features of n samples that are not known; nor may n be."""

    mu: Tensor
    sigma: Tensor
    n: int | None


@dataclass(frozen=True, eq=False)
class Extractor:
    """A frozen network with its input rule.

    Attributes:
        name: appears in every score's label, e.g. FD/mnist-classifier.
        network: float images or points -> features (B, d), or a pair (features, logits).
        sha256: of the weights' file, or of the state of a module.
        channels: 1 or 3, to which images are converted; None takes any, and points too.
        size: side length in pixels; None takes any.
        resize: name of the rule, a key of `RESIZES`.
        offset, scale: the network sees (pixel - offset) / scale of pixels in [0, 255].
        published: these are the Inception weights that the names FID, KID and IS stand for.
        by_content: the hash says all about the network, so its features may be cached.
        class_names: of the logits, for histograms; empty when they have none.
        logits: whether the network gives them; None if that is known only after a first call.
        resizer: resizes by this rule, (images uint8, size) -> float32, where it is not the one in `RESIZES`.
    """

    name: str
    network: nn.Module
    sha256: str
    channels: int | None = None
    size: int | None = None
    resize: str = "none"
    offset: float = 127.5
    scale: float = 127.5
    published: bool = False
    by_content: bool = True
    class_names: tuple[str, ...] = ()
    logits: bool | None = None
    resizer: Callable[[Tensor, int], Tensor] | None = None

    @property
    def id(self) -> str:
        """Equal ids, comparable features."""
        return f"{self.name}/{self.resize}/{self.size}/{self.sha256}"

    @property
    def of_points(self) -> bool | None:
        """Whether it takes points, not images; None for a network that may take either."""
        if self.name == POINTS:
            return True
        return None if self.channels is None and self.size is None else False

    def describe(self) -> dict[str, Any]:
        """The extractor as plain data for JSON."""
        rule = {"channels": self.channels, "size": self.size, "resize": self.resize}
        return {"name": self.name, "sha256": self.sha256, "published": self.published, **rule}

    def to(self, device: torch.device | str) -> Extractor:
        self.network.to(device)
        return self

    def __call__(self, batch: Tensor) -> Extracted:
        """uint8 images (B, C, H, W), or float points (B, D), to features; in eval mode, without a graph.

        Raises:
            EvaluationError: another type or shape, or features that are not finite, with the index in the batch.
        """
        return self.of_prepared(self.prepare(batch))

    def of_prepared(self, x: Tensor) -> Extracted:
        """Features of the result of `prepare`, or of several in one batch; see `__call__`."""
        parameter = self._parameter
        x = x.to(parameter.dtype) if parameter.is_floating_point() else x
        # Convolutions in TensorFloat-32 would move features by 1e-3.
        full = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)
        with torch.no_grad(), evaluating(self.network), exact(), full:
            found = self._run(x)
        features, logits = found if isinstance(found, tuple) else (found, None)
        return Extracted(self._checked(features, len(x)), None if logits is None else logits.float().cpu())

    def _run(self, x: Tensor) -> Any:
        try:
            return self.network(x)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:160]
            raise EvaluationError(
                f"extractor {self.name} cannot take samples of {tuple(x.shape[1:])}: {reason}"
            ) from error

    @property
    def _parameter(self) -> Tensor:
        return next((t for t in (*self.network.parameters(), *self.network.buffers())), torch.empty(0))

    def prepare(self, batch: Tensor) -> Tensor:
        """uint8 images in the extractor's channels, size and range, or points as they are, on its device.

        An image becomes the same alone and in a batch.

        Raises:
            EvaluationError: another type or shape.
        """
        batch = batch.to(self._parameter.device)
        if batch.dim() == 2 and batch.is_floating_point() and self.channels is None:
            return batch
        if batch.dim() != 4 or batch.dtype != torch.uint8:
            raise EvaluationError(
                f"extractor {self.name} takes uint8 images (B, C, H, W), got {batch.dtype} {tuple(batch.shape)}"
            )
        images = to_channels(batch, self.channels)
        resizer = self.resizer or RESIZES[self.resize]
        pixels = images.float() if self.size is None else resizer(images, self.size)
        return (pixels - self.offset) / self.scale

    def _checked(self, features: Tensor, n: int) -> Tensor:
        if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != n:
            got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise EvaluationError(f"extractor {self.name} must give features of shape ({n}, d), got {got}")
        if not features.isfinite().all():
            row = int((~features.isfinite()).any(1).nonzero()[0])
            raise EvaluationError(
                f"extractor {self.name} gave features that are not finite for sample {row} of a batch"
            )
        return (features if features.dtype == torch.float64 else features.float()).cpu()


def sha256_of_state(module: nn.Module) -> str:
    """Hash of a module's class and of the names, shapes and bytes of its state."""
    total = hashlib.sha256(f"{type(module).__module__}:{type(module).__qualname__}".encode())
    for name, value in module.state_dict().items():
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()

"""Normalisation: layers by name, weights by their largest singular value, running statistics that stand still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrizations
from torch.nn.utils.parametrize import register_parametrization

from genkit.core.errors import RecipeError, suggest
from genkit.layers.arguments import Norm

Layer = TypeVar("Layer", bound=nn.Module)


def norm_layer(kind: Norm, channels: int) -> nn.Module:
    """A layer for (B, channels, H, W) maps.

    "layer" normalises each sample over channels and pixels, which keeps the gradient penalty a per-sample term
    (Gulrajani et al. 2017, section 4); "batch" lets samples interact.

    Raises:
        RecipeError: an unknown kind.
    """
    if kind == "none":
        return nn.Identity()
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    raise RecipeError(f"norm: got {kind!r}{suggest(kind, ('none', 'batch', 'layer'))}")


def spectrally_normalise(module: nn.Module) -> None:
    """Divides the weight of every convolution, linear layer and embedding by its largest singular value.

    Miyato et al. 2018. One power iteration a forward pass in training mode; none in eval mode.
    """
    layers = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))]
    for layer in layers:
        spectral_norm(layer)


def spectral_norm(layer: Layer) -> Layer:
    """Divides the weight of one layer by its largest singular value; see `spectrally_normalise`."""
    assert isinstance(layer.weight, Tensor)
    register_parametrization(layer, "weight", _SpectralNorm(layer.weight))
    return layer


class _SpectralNorm(parametrizations._SpectralNorm):
    """Torch's, but v before u, as in Algorithm 1 of the paper and in `torch.nn.utils.spectral_norm` of old code.

    Torch's present one turns them round, so that a layer would be divided by another number than in that code.
    """

    @torch.no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            self._v = normalize(weight_mat.mT @ self._u, dim=0, eps=self.eps, out=self._v)
            self._u = normalize(weight_mat @ self._v, dim=0, eps=self.eps, out=self._u)


@contextmanager
def untracked(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms in `module` leave running mean, running variance and batch count as they are.

    Outputs do not change: training mode still normalises by the batch, eval mode by the running statistics.
    """
    norms = [(m, m.track_running_stats) for m in module.modules() if isinstance(m, _BatchNorm)]
    for norm, _ in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, tracked in norms:
            norm.track_running_stats = tracked

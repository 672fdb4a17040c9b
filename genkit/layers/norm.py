"""Normalisation: layers by name, weights by their largest singular value, running statistics that stand still."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import spectral_norm

from genkit.core.errors import RecipeError, suggest
from genkit.layers.arguments import Norm


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

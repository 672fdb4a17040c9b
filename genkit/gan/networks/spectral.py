"""Spectral normalisation of whole networks (Miyato et al. 2018)."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def spectrally_normalise(module: nn.Module) -> None:
    """Divides the weight of every convolution, linear layer and embedding by its largest singular value.

    One power iteration a forward pass in training mode; none in eval mode.
    """
    layers = [m for m in module.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))]
    for layer in layers:
        spectral_norm(layer)

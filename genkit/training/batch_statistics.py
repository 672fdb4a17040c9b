"""Statistics of averaged weights: of their batch norms, and those that modules measure themselves.

The live network's running statistics are of other weights. Those of the averaged ones are measured, as in stochastic
weight averaging (Izmailov et al. 2018, arXiv:1803.05407, Sec. 3.2): plain means over batches made for the purpose.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from genkit.core.frozen import is_frozen
from genkit.core.measured import Measured
from genkit.core.randomness import Noise, seed_networks, stable_seed
from genkit.core.system import System
from genkit.training.stream import Stream

SAMPLES, BATCH = 2048, 64
"""Samples that the statistics are measured on, and the smallest batch, at least."""


def tracked_norms(module: nn.Module) -> list[_BatchNorm]:
    """The batch norms inside `module` that keep running statistics, but for those of frozen parts."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    return [m for m in norms if not is_frozen(m)]


@torch.no_grad()
def measure_statistics(system: System, product: nn.Module, stream: Stream) -> None:
    """Gives the batch norms of `product` the mean and variance of their inputs, from data and noise of `stream`.

    A function of the weights and the seed alone: the stream starts anew, and no random state is left changed.
    """
    for module in product.modules():
        if isinstance(module, Measured) and not is_frozen(module):
            rng = torch.Generator().manual_seed(stable_seed(stream.seed, "measured"))
            module.measure(Noise(SAMPLES, rng))
    norms = tracked_norms(product)
    if not norms:
        return
    momentum, passes = [norm.momentum for norm in norms], Counter[nn.Module]()

    def is_mean_of_all(norm: Any, _: object) -> None:
        passes[norm] += 1
        norm.momentum = 1 / passes[norm]  # torch's own, by momentum None, asks the device for the count

    fresh = stream.restarted(max(stream.batch_size, BATCH), stable_seed(stream.seed, "statistics"))
    for norm in norms:
        norm.reset_running_stats()
        norm.training = True
    counting = [norm.register_forward_pre_hook(is_mean_of_all) for norm in norms]
    try:
        with torch.random.fork_rng(devices=[]):
            seed_networks(fresh.seed, fresh.device)
            for _ in range(-(-SAMPLES // fresh.batch_size)):
                system.exercise(product, fresh)
    finally:
        for norm, rate in zip(norms, momentum, strict=True):
            norm.momentum = rate
            norm.training = False
        for hook in counting:
            hook.remove()

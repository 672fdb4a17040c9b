"""The gradient of one value a sample with respect to the sample: of a critic's score, a log-probability, an energy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from genkit.core.errors import GenkitError
from genkit.core.precision import full_precision


def input_gradient(f: Callable[[Tensor], Tensor], x: Tensor, *, create_graph: bool = False) -> Tensor:
    """d f(x)_i / d x_i for every sample i, of the shape of x; works under `no_grad` and `inference_mode` too.

    The sum over the batch is differentiated, which is exact as long as f keeps samples apart: no batch norm.

    Args:
        f: (B, ...) -> (B,).
        x: (B, ...); no graph leads back through it.
        create_graph: whether the gradient can itself be differentiated, by what f depends on.

    Raises:
        GenkitError: f does not give one value a sample, or values without a graph that leads back to x.
    """
    # To leave inference mode where there is none would let autograd use its threads again, see training.repeatable.
    leaving = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
    with leaving, torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        values = f(x)
        if values.shape != x.shape[:1]:
            raise GenkitError(f"a gradient by input needs one value a sample, ({len(x)},); got {tuple(values.shape)}")
        total = values.sum()
        # Outside autocast, which would lower what f computes at full precision on the way back alone.
        with full_precision(x):
            found = (
                torch.autograd.grad(total, x, create_graph=create_graph, allow_unused=True)
                if total.grad_fn
                else (None,)
            )
    if found[0] is None:
        raise GenkitError(
            "a gradient by input needs values that depend on the input; here no graph leads back to it: "
            "look for detach(), no_grad() or item() on the way"
        )
    return found[0]

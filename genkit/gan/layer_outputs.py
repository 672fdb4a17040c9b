"""Outputs of layers inside a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from genkit.core.errors import RecipeError, shown, suggest
from genkit.core.precision import full


def check_layers(network: nn.Module, layers: Sequence[str], where: str) -> None:
    """Raises RecipeError, beginning with `where`, for a dotted name that is no layer inside the network."""
    known = [name for name, _ in network.named_modules() if name]
    for name in layers:
        if name not in known:
            raise RecipeError(f"{where}: the network has no {shown(name)}{suggest(name, known)}")


def layer_outputs(network: nn.Module, layers: Sequence[str], x: Tensor) -> list[Tensor]:
    """The outputs of `layers`, dotted names, as `network` runs on x: float32, of the last call of each."""
    seen = dict[str, Tensor]()
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda module, given, y, name=name: seen.update({name: y}))
        for name in layers
    ]
    try:
        network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return [full(seen[name]) for name in layers]

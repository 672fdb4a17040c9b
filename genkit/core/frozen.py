"""Modules that are finished: they learn nothing more, stay in eval mode, and are not averaged."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from torch import nn

from genkit.core.errors import RecipeError

Module = TypeVar("Module", bound=nn.Module)


def freeze(module: Module) -> Module:
    """`module`, frozen with all its parts: no gradients, and always in eval mode."""
    module.requires_grad_(False).eval()
    for part in module.modules():
        part.__dict__["frozen"] = True
        part.__dict__["train"] = partial(_stay, part)
    return module


def thaw(module: Module) -> Module:
    """`module`, which learns again with all its parts."""
    for part in module.modules():
        for name in ("frozen", "train"):
            part.__dict__.pop(name, None)
    return module.requires_grad_(True)


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    """`train` of a frozen module: does nothing."""
    return module


def is_frozen(module: nn.Module) -> bool:
    return bool(module.__dict__.get("frozen"))


def check_finished(finished: bool, why: str) -> None:
    """Raises RecipeError, beginning with `why`, where a part that others build on is not finished."""
    if not finished:
        raise RecipeError(
            f"{why}: give it as {{weights: NAME}}, or as {{stage: NAME}} where a stage before this one trains it"
        )


def learnable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters of `module` but for those of frozen parts."""
    frozen = {id(p) for m in module.modules() if is_frozen(m) for p in m.parameters(recurse=False)}
    return [p for p in module.parameters() if id(p) not in frozen]

"""Eval mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from torch import nn

_HELD = dict[nn.Module, tuple[int, bool]]()
"""Of modules that are held in eval mode: how many hold one, and its mode before."""
_TURN = Lock()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """`module` in eval mode, every submodule's own mode restored after: by the last of several threads that hold it."""
    modules = list(module.modules())
    with _TURN:
        for m in modules:
            holders, training = _HELD.get(m, (0, m.training))
            _HELD[m] = holders + 1, training
        module.eval()
    try:
        yield
    finally:
        with _TURN:
            for m in modules:
                holders, training = _HELD.pop(m)
                if holders > 1:
                    _HELD[m] = holders - 1, training
                else:
                    m.training = training

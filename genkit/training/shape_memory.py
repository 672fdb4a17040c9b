"""Shapes of operations on the meta device, remembered: torch finds them in Python, a millisecond each."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Call = tuple[Any, ...]
PLAIN = (bool, int, float, str, torch.dtype, torch.device, torch.memory_format, torch.layout)


class ShapeMemory(TorchDispatchMode):
    """Answers an operation that has been seen with tensors of these shapes as it was answered then.

    Only what succeeded is remembered, so all that the meta device refuses it still refuses; only what makes new tensors
    is, or changes the content of its first one alone, and only of tensors that are all on the meta device.
    """

    _new: ClassVar[dict[Call, Any]] = {}
    _unmoved: ClassVar[set[Call]] = set()
    """Answers of torch, the same for whoever asks."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, kind = kwargs or {}, _kind(func)
        key = _key(func, args, kwargs) if kind else None
        if key in self._new:
            return _again(self._new[key])
        if key in self._unmoved:
            return args[0]
        out = func(*args, **kwargs)
        if key and kind == "in place" and out is args[0] and _key(func, args, kwargs) == key:
            self._unmoved.add(key)
        elif key and kind == "new" and _on_meta(out):
            self._new[key] = _made(out)
        return out


@cache
def _kind(func: Any) -> str:
    """Whether results are new tensors, or the first argument, or neither."""
    schema = func._schema
    written = [a for a in schema.arguments if a.alias_info]
    if not written and not any(r.alias_info for r in schema.returns):
        return "new"
    first = schema.arguments[0].alias_info if schema.arguments else None
    alone = len(written) == 1 and first is not None and first.is_write and len(schema.returns) == 1
    return "in place" if alone and schema.name.endswith("_") else ""


def _key(func: Any, args: Any, kwargs: Any) -> Call | None:
    """None where something else than shapes and plain values decides."""
    try:
        return (func, _part(args), *((name, _part(value)) for name, value in kwargs.items()))
    except _Unknown:
        return None


class _Unknown(Exception):
    """A value that does not say all that it decides."""


def _part(value: Any) -> Any:
    if isinstance(value, Tensor):
        if not value.is_meta or value.layout != torch.strided or value.is_conj() or value.is_neg():
            raise _Unknown
        return value.shape, value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        return tuple(map(_part, value))
    if value is None or isinstance(value, PLAIN):
        return type(value), value
    raise _Unknown


def _on_meta(out: Any) -> bool:
    if isinstance(out, (list, tuple)):
        return all(map(_on_meta, out))
    return out is None or (isinstance(out, Tensor) and out.is_meta)


def _made(out: Any) -> Any:
    """Shapes of the new tensors in a result: of one, of several, or None for one that is not there."""
    if isinstance(out, (list, tuple)):
        return tuple(map(_made, out))
    return None if out is None else _Shape(*_part(out))


class _Shape(NamedTuple):
    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


def _again(made: Any) -> Any:
    if made is None:
        return None
    if isinstance(made, _Shape):
        return torch.empty_strided(*made[:2], dtype=made.dtype, device="meta")
    return tuple(map(_again, made))

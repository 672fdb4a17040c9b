"""diffusers' UNet, imported by the narrowest path that works.

Two of its packages import all their models when one is wanted, and a module of helpers imports the machinery of
torch.compile to mark blocks that it need not look into, though it can.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

WIDE = ("diffusers.models.unets", "diffusers.models.transformers")
"""Packages of which only the modules that are asked for are imported."""
DISPENSABLE = "torch._dynamo"
"""A module that diffusers does without where it is not there."""


def unet_class() -> Any:
    """diffusers' UNet2DModel."""
    with _narrowly():
        return import_module("diffusers.models.unets.unet_2d").UNet2DModel


@contextmanager
def _narrowly() -> Iterator[None]:
    """Inside, what is not imported yet is kept small: `WIDE` import nothing, `DISPENSABLE` is not there."""
    before = set(sys.modules)
    if DISPENSABLE not in before:
        sys.modules[DISPENSABLE] = None  # type: ignore[assignment]
    for name in WIDE:
        if name not in before:
            sys.modules[name] = _empty_package(name)
    try:
        yield
    finally:
        for name in {DISPENSABLE, *WIDE} - before:
            sys.modules.pop(name, None)


def _empty_package(name: str) -> ModuleType:
    """A package that finds the modules of `name` and imports none."""
    spec, package = find_spec(name), ModuleType(name)
    assert spec is not None and spec.submodule_search_locations is not None
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    return package

"""genkit: train a generator on images, sample it, steer it, score it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Generator": "genkit.generator",
    "LatentGenerator": "genkit.generator",
    "System": "genkit.system",
    "Update": "genkit.system",
    "Condition": "genkit.condition",
    "ConditionSpace": "genkit.condition",
    "Recipe": "genkit.recipe",
    "GenkitError": "genkit.errors",
    "build": "genkit.catalog",
    "register": "genkit.catalog",
    "train": "genkit.training",
    "evaluate": "genkit.evaluation",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'genkit' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

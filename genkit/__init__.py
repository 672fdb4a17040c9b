"""genkit: train a generator on images, sample it, steer it, score it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Generator": "genkit.core.generator",
    "LatentGenerator": "genkit.core.generator",
    "System": "genkit.core.system",
    "Update": "genkit.core.system",
    "Condition": "genkit.core.condition",
    "ConditionSpace": "genkit.core.condition",
    "Recipe": "genkit.training.recipe",
    "GenkitError": "genkit.core.errors",
    "build": "genkit.core.catalog",
    "register": "genkit.core.table",
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

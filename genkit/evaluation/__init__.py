"""Scores under proper names: metrics, extractors, and the comparison of any two sets of samples."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "evaluate": "genkit.evaluation.scoring",
    "accuracy": "genkit.evaluation.classification",
    "log_likelihood": "genkit.evaluation.likelihood",
    "latent_knn": "genkit.evaluation.latent_neighbours",
    "statistics": "genkit.evaluation.scoring",
    "Scores": "genkit.evaluation.scores",
    "Extractor": "genkit.evaluation.extractors.extractor",
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'genkit.evaluation' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)

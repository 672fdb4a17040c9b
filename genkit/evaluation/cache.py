"""Features of real data, kept by content in `$GENKIT_CACHE/features` (default ~/.cache/genkit/features).

The key is a hash of the extractor's id, the data's fingerprint, the number of samples and the seed, so nothing stale
can be found. An entry is one .npz of float32 features and logits. Damaged entries are computed again; the folder may be
deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genkit.core import files
from genkit.core.errors import GenkitError
from genkit.core.files import remove_leftovers, write_atomically
from genkit.evaluation.extractors.extractor import Extracted, Extractor

VERSION = 2
"""Raised when the same key would mean other numbers."""


def cache_folder() -> Path:
    """$GENKIT_CACHE/features, else ~/.cache/genkit/features."""
    return files.cache_folder() / "features"


def entry(extractor: Extractor, fingerprint: str, n: int, seed: int) -> Path:
    """The path of the features of this draw."""
    key = json.dumps([VERSION, extractor.id, fingerprint, n, seed])
    return cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"


def read(path: Path) -> tuple[Extracted, dict[str, Any]] | None:
    """Features and the notes of their intake; None when there are none or they are damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            features = torch.from_numpy(arrays["features"])
            logits = torch.from_numpy(arrays["logits"]) if "logits" in arrays.files else None
            notes = json.loads(str(arrays["notes"]))
    except Exception:  # a damaged archive can break numpy, zipfile or zlib anywhere
        return None
    sound = features.dim() == 2 and features.isfinite().all() and isinstance(notes, dict)
    return (Extracted(features, logits), notes) if sound else None


def write(path: Path, extracted: Extracted, notes: dict[str, Any]) -> str | None:
    """Keeps an entry; a warning when that fails, for a score is worth having without it."""
    arrays: dict[str, Any] = {"features": extracted.features.numpy(), "notes": np.array(json.dumps(notes))}
    if isinstance(extracted.logits, Tensor):
        arrays["logits"] = extracted.logits.numpy()
    file = io.BytesIO()
    np.savez(file, **arrays)
    remove_leftovers(path.parent)
    try:
        write_atomically(path, file.getvalue())
    except GenkitError as failure:
        return f"features were not kept: {failure}"
    return None

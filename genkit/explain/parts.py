"""Parts of a long computation in a folder, so that one that was left goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from genkit.core.files import write_atomically
from genkit.core.fingerprint import fingerprint

ABOUT, LETTERS = "search.json", 12


class Parts:
    """part-00000.safetensors, ... of one computation, and search.json, which says what they belong to.

    Each computation has a folder of its own in `folder`, named by what it belongs to, so that none is taken for
    another, or lost to it. Several processes may write there at once: each part is written in one piece, and equal
    whoever makes it.

    Args:
        folder: made where it is missing.
        belongs: plain data.

    Raises:
        CheckpointError: the folder cannot be written.
    """

    def __init__(self, folder: Path, belongs: Mapping[str, Any]):
        text = json.dumps(belongs, indent=2, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self.folder = folder / self.key[:LETTERS]
        write_atomically(self.folder / ABOUT, text.encode())

    def path(self, k: int) -> Path:
        return self.folder / f"part-{k:05d}.safetensors"

    def get(self, k: int, shape: Sequence[int]) -> Tensor | None:
        """Part k; None where there is none, or one that is damaged, not finite, of another shape or computation."""
        try:
            with safe_open(self.path(k), "pt") as file:
                metadata = file.metadata() or {}
                found: Tensor = file.get_tensor("part")
        except (SafetensorError, OSError):
            return None
        whole = (
            metadata == self._metadata(k, found) and tuple(found.shape) == tuple(shape) and bool(found.isfinite().all())
        )
        return found if whole else None

    def _metadata(self, k: int, part: Tensor) -> dict[str, str]:
        return {"belongs": f"{self.key}/{k}/{fingerprint(part)}"}

    def put(self, k: int, part: Tensor) -> None:
        """Writes part k in one piece; raises CheckpointError where it cannot be written."""
        write_atomically(self.path(k), save({"part": part.contiguous()}, self._metadata(k, part)))

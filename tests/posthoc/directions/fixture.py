"""What the authors' classes computed, as recorded in shared/fixtures/directions."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from tests.shared import shared

CLOSE: dict[str, float] = {"rtol": 0, "atol": 2e-5}


class Recorded:
    def __init__(self) -> None:
        folder = shared("fixtures", "directions")
        self.config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        self.io, self.weights = (load_file(folder / f"{name}.safetensors") for name in ("io", "weights"))

    def of(self, case: str) -> dict[str, Tensor]:
        """Inputs and outputs of a case by field."""
        return _below(self.io, case)

    def parameters(self, case: str) -> dict[str, Tensor]:
        return _below(self.weights, case)


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


@cache
def read() -> Recorded:
    return Recorded()

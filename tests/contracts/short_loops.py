"""Loops of samplers that do the same in every turn, cut short."""

from __future__ import annotations

from typing import Any

from genkit.core.catalog import build


def shorten(module: Any) -> None:
    """Solvers of diffusion take two steps, Langevin chains one."""
    for part in module.modules():
        if hasattr(part, "solver"):
            part.solver = build({"type": "ancestral", "steps": "2"})
        if hasattr(part, "langevin"):
            part.langevin.steps = 1

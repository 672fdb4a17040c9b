"""Remarks about a run before it starts, of problems that do not keep it from training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from genkit.core.foresight import promised_shape
from genkit.training.recipe import Recipe

CPUINFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
"""Units for bfloat16 products, as Linux names them on x86 and on ARM."""


def remarks(recipe: Recipe, data: Any, device: torch.device) -> Iterator[str]:
    """The remarks, one line each.

    Args:
        data: the training data, a genkit.data.dataset.DataSet.
        device: device of the networks.
    """
    batch = recipe.train.batch_size
    for items in filter(None, (data, getattr(data, "target", None))):
        if batch > len(items):
            there = f"{len(items)} samples of {items.name}"
            yield f"train.batch_size: {batch} is more than the {there}, so every batch holds samples more than once"
    if recipe.train.mirror and (kept := ", ".join(data.attributes)):
        yield f"train.mirror: a mirrored image keeps {kept} of the one that it was made of"
    yield from _colours(recipe, data)
    if recipe.train.precision == "bf16" and device.type == "cpu" and cpu_has_bf16() is False:
        yield "train.precision: this CPU has no units for bf16 and is several times slower with it; 'no' is faster here"


def _colours(recipe: Recipe, data: Any) -> Iterator[str]:
    against = promised_shape(recipe.evaluate.against) if recipe.evaluate and recipe.evaluate.against else None
    kinds = {1: "grey", 3: "in colour"}
    if against and len(data.sample_shape) == 3 and against[0] != data.sample_shape[0]:
        yield (
            f"evaluate.against: its images are {kinds.get(against[0])}, those that are learned from are "
            f"{kinds.get(data.sample_shape[0])}, so the scores say little"
        )


def cpu_has_bf16() -> bool | None:
    """Whether this machine's CPU multiplies bfloat16 numbers; None where that is unknown."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    flags = next(
        (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))), []
    )
    return bool(BF16_FLAGS & set(flags)) if flags else None

"""Noise schedules beta_t and the choice of steps that are kept, in float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genkit.core.errors import RecipeError


def linear_betas(steps: int) -> Tensor:
    """From 0.1 / T to 20 / T in a straight line: 1e-4 to 0.02 at T = 1000. Ho et al. 2020, Sec. 4; (steps,) float64.

    Raises:
        RecipeError: 20 steps or fewer, the last of which would leave nothing of the image.
    """
    if steps <= 20:
        raise RecipeError(f"steps: a linear schedule needs more than 20, got {steps}; take more, or schedule: cosine")
    return torch.linspace(0.1 / steps, 20 / steps, steps, dtype=torch.float64)


def cosine_betas(steps: int) -> Tensor:
    """abar(u) ~ cos^2((u + 0.008) / 1.008 * pi / 2), betas at most 0.999. Nichol & Dhariwal 2021, Eq. 17."""

    def signal(u: float) -> float:
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - signal((i + 1) / steps) / signal(i / steps), 0.999) for i in range(steps)]
    return torch.tensor(betas, dtype=torch.float64)


SCHEDULES = {"linear": linear_betas, "cosine": cosine_betas}


Spacing = int | str
"""The steps that are kept, see `space_steps`; a number may also be written as one."""


def space_steps(steps: int, kept: Spacing) -> list[int]:
    """The kept ones of `steps` steps, ascending, in the notation of guided-diffusion.

    Args:
        steps: T of the process.
        kept: "" keeps all; "25" keeps 25 evenly spread ones, first and last among them; "10,15,20" splits T into three
            equal sections and keeps so many of each (0 is none); "ddim25" keeps every s-th from 0 for
            the smallest whole s that leaves exactly 25.

    Raises:
        RecipeError: the notation is unknown or T cannot be spaced so.
    """
    kept = str(kept).replace(" ", "")
    if not kept:
        return list(range(steps))
    if kept.startswith("ddim"):
        return _strided(steps, _count(kept.removeprefix("ddim"), kept))
    parts = kept.split(",")
    counts = [_count(part, kept, least=len(parts) == 1) for part in parts]
    if not any(counts):
        raise RecipeError(f"steps {kept!r}: no step is kept")
    chosen, start = set[int](), 0
    for section, count in enumerate(counts):
        size = steps // len(counts) + (section < steps % len(counts))
        if size < count:
            of = f"a section of {size}" if len(counts) > 1 else "the process"
            raise RecipeError(f"steps {kept!r}: {count} steps do not fit into {of} of {steps} steps; at most {size}")
        stride, at = (size - 1) / (count - 1) if count > 1 else 1.0, 0.0
        for _ in range(count):
            chosen.add(start + round(at))
            at += stride
        start += size
    return sorted(chosen)


def _strided(steps: int, count: int) -> list[int]:
    for stride in range(1, steps):
        if len(range(0, steps, stride)) == count:
            return list(range(0, steps, stride))
    possible = sorted({len(range(0, steps, stride)) for stride in range(1, steps)}, key=lambda n: abs(n - count))
    raise RecipeError(
        f"steps 'ddim{count}': no whole stride leaves {count} of {steps} steps; the nearest that work are "
        + ", ".join(f"ddim{n}" for n in sorted(possible[:3]))
    )


def _count(text: str, kept: str, least: int = 1) -> int:
    if not text.isdecimal() or int(text) < least:
        raise RecipeError(
            f"steps {kept!r}: write '25', '10,15,20' or 'ddim25', every number at least 1 (of a section 0)"
        )
    return int(text)

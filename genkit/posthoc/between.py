"""The way from one sample to another through the latent space of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genkit.core import tree
from genkit.core.errors import GenkitError
from genkit.core.evaluating import evaluating
from genkit.core.generator import LatentGenerator, within_range
from genkit.core.precision import wide
from genkit.core.randomness import Rows

BATCH = 64


@torch.no_grad()
def between(
    generator: LatentGenerator, seeds: tuple[int, int], n: int, condition: Mapping[str, Any] | None = None
) -> Tensor:
    """n samples, (n, *sample_shape), from `sample(1, rng=first seed)` to that of the second.

    Standard normal latents turn on a great circle, so that every latent on the way is as long as one that is drawn;
    others move on a straight line. Conditions stay: those given, and for the rest those drawn by the first seed.

    Args:
        n: ends included.
        condition: of all samples, as `sample` takes it for one.

    Raises:
        GenkitError: n below 2.
        ConditionError: as `sample`.
    """
    if n < 2:
        raise GenkitError(f"the way from one sample to another has at least 2 of them, got {n}")
    rows = [Rows(1, torch.Generator().manual_seed(seed), generator.device) for seed in seeds]
    conditions = [generator.conditions.resolve(condition, 1, row) for row in rows]
    same = {name: row.to(generator.device).expand(n, *row.shape[1:]) for name, row in conditions[0].items()}
    at = torch.linspace(0, 1, n, device=generator.device)
    way = turned if generator.standard_normal else straight
    with evaluating(generator):
        first, last = (generator.latents(row) for row in rows)
        every = (tree.map(lambda a, b: way(a, b, at), first, last), same)
        parts = [generator(*tree.map(lambda part, k=k: part[k : k + BATCH], every)) for k in range(0, n, BATCH)]
    return within_range(torch.cat(parts).float())


def turned(a: Tensor, b: Tensor, at: Tensor) -> Tensor:
    """sin((1 - t) o) / sin(o) a + sin(t o) / sin(o) b with the angle o between a and b (Shoemake 1985).

    Args:
        a, b: (1, ...).
        at: t in [0, 1], (n,).

    Returns:
        (n, ...); a straight line where a and b lie on one.
    """
    cosine = torch.nn.functional.cosine_similarity(wide(a.flatten(1)), wide(b.flatten(1)))
    angle = cosine.clamp(-1, 1).acos()
    if float(angle.sin()) < 1e-6:
        return straight(a, b, at)
    t = wide(at)
    of_a, of_b = (((part * angle).sin() / angle.sin()).to(a) for part in (1 - t, t))
    return _along(of_a, a) * a + _along(of_b, b) * b


def straight(a: Tensor, b: Tensor, at: Tensor) -> Tensor:
    """(1 - t) a + t b."""
    return torch.lerp(a, b, _along(at, a).to(a.dtype))


def _along(at: Tensor, like: Tensor) -> Tensor:
    return at.view(-1, *[1] * (like.dim() - 1))

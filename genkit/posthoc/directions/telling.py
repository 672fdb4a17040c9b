"""Accuracy of telling directions apart (RCA of Voynov & Babenko 2020, Sec. 4.2), at one budget for all."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from genkit.core.evaluating import evaluating
from genkit.core.randomness import Noise, stable_seed
from genkit.posthoc.directions.deformators import one_hot
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.reconstructors import (
    SMALLEST,
    LeNetReconstructor,
    Reconstructor,
    ResNet18Reconstructor,
    reconstruction,
)
from genkit.posthoc.directions.shifts import NumberedShifts, Shifts, usual
from genkit.posthoc.directions.spaces import drawn

ROWS, RATE, LOOKS, EACH = 32, 1e-3, 32, 16
"""Pairs of a batch, learning rate of the reconstructor; batches on which it is tried, and pairs of each direction, on
the average, at least."""
OF_LENET = 64
"""Side length up to which images are read by a LeNet; larger ones are brought to it for a ResNet-18."""


@dataclass(frozen=True)
class ToldApart:
    """Accuracy of a reconstructor on pairs that it has not seen.

    Attributes:
        accuracy: share of the directions that it names rightly.
        each: the same of every direction.
        error: mean |e - e^|.
    """

    accuracy: float
    each: tuple[float, ...]
    error: float


def reconstructor_for(sample_shape: tuple[int, ...], directions: int) -> Reconstructor:
    """A LeNet for small images, padded where they need it, and a ResNet-18 for others."""
    channels, size = sample_shape[0], sample_shape[-1]
    if size <= OF_LENET:
        return LeNetReconstructor(directions, channels, size, padded=SMALLEST if size < SMALLEST else 0)
    return ResNet18Reconstructor(directions, channels, size, resized=OF_LENET)


def told_apart(directions: Directions, steps: int, seed: int = 0) -> ToldApart:
    """A new reconstructor learns for `steps` to tell directions that stay as they are, and is tried on new pairs.

    The first weights and all draws are functions of the seed, whatever the directions; shifts are the usual ones.
    """
    shifts = usual(directions.space.dim)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stable_seed(seed, "reconstructor"))
        reader = reconstructor_for(directions.sample_shape, len(directions)).to(directions.unit.device)
    rng = torch.Generator().manual_seed(stable_seed(seed, "pairs"))
    adam = torch.optim.Adam(reader.parameters(), RATE)
    for _ in range(steps):
        logits, guess, given = _read(reader, directions, shifts, rng)
        adam.zero_grad()
        sum(reconstruction(logits, guess, *given)[k] for k in ("direction", "strength")).backward()  # type: ignore[union-attr]
        adam.step()
    return tried(reader.eval(), directions, shifts, rng)


@torch.no_grad()
def tried(reader: Reconstructor, directions: Directions, shifts: Shifts, rng: torch.Generator) -> ToldApart:
    """Accuracy of a reconstructor, in eval mode, on new pairs."""
    hits, counts = torch.zeros(len(directions)), torch.zeros(len(directions))
    error, looks = 0.0, max(LOOKS, -(-EACH * len(directions) // ROWS))
    for _ in range(looks):
        logits, guess, (target, eps) = _read(reader, directions, shifts, rng)
        right = (logits.argmax(1) == target).float().cpu()
        hits.index_add_(0, target.cpu(), right)
        counts.index_add_(0, target.cpu(), torch.ones_like(right))
        error += (guess - eps).abs().mean().item() / looks
    each = torch.where(counts > 0, hits / counts, torch.nan)
    return ToldApart((hits.sum() / counts.sum()).item(), tuple(each.tolist()), error)


def _read(
    reader: Reconstructor, directions: Directions, shifts: Shifts, rng: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, NumberedShifts]:
    """The answers of the reader to a batch of new pairs, and the right ones."""
    with torch.no_grad(), evaluating(directions):
        latents, condition = drawn(directions.space, ROWS, rng)
        given = shifts.draw(Noise(ROWS, rng), len(directions))
        given = NumberedShifts(*(rows.to(directions.unit.device) for rows in given))
        shift = directions.shifts(one_hot(*given, len(directions)))
        images = directions.space.images
        x, shifted = images(latents, condition, torch.zeros_like(shift)), images(latents, condition, shift)
    logits, guess = reader(x, shifted)
    return logits, guess, given

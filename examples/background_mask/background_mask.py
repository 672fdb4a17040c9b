"""Masks of objects that nobody has labelled: a direction that moves the background alone tells what it is.

    python background_mask.py

As in Section 5 of Voynov & Babenko 2020 (arXiv:2002.03754), on a generator that is written down here instead of a
BigGAN, so that every mask can be compared with the true one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genkit.core import catalog
from genkit.core.frozen import freeze
from genkit.posthoc.directions.deformators import UnitColumns
from genkit.posthoc.directions.directions import Directions, samples_of
from genkit.posthoc.directions.own_generator import OwnGenerator
from genkit.posthoc.directions.reconstructors import LeNetReconstructor
from genkit.posthoc.directions.shifts import usual
from genkit.posthoc.directions.training import DirectionsTraining
from genkit.training.optimizers import Adam
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

DIM, SIDE = 8, 32


class Discs:
    """A soft disc on a grey ground. Place, size and both greys are five numbers of a latent of eight that was turned,
    so that no coordinate is one of them; the last three do nothing."""

    def __init__(self) -> None:
        self.turn = torch.linalg.qr(torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(1))).Q

    def sample_latents(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.randn(n, DIM, generator=rng)

    def inside(self, latents: Tensor) -> Tensor:
        """(n, SIDE, SIDE) in [0, 1]: the true mask."""
        across, down, size = (0.5 * latents @ self.turn.T).tanh()[:, :3, None, None].unbind(1)
        line = torch.linspace(-1, 1, SIDE)
        far = ((line - 0.3 * across) ** 2 + (line[:, None] - 0.3 * down) ** 2).sqrt()
        return ((0.5 + 0.15 * size - far) / 0.04).sigmoid()

    def generate(self, latents: Tensor, condition: object = None) -> Tensor:
        light, ground = (0.5 * latents @ self.turn.T).tanh()[:, 3:5, None, None].unbind(1)
        mask = self.inside(latents)
        return (mask * (0.6 + 0.3 * light) + (1 - mask) * (-0.4 + 0.5 * ground))[:, None]


def learned(made: Discs, steps: int, seed: int = 0) -> Directions:
    """Directions that are easy to tell apart."""
    torch.manual_seed(seed)
    system = DirectionsTraining(
        freeze(OwnGenerator(made)), UnitColumns(DIM, DIM), LeNetReconstructor(DIM), shifts=usual(DIM)
    )
    data = catalog.build({"type": "blank"})
    system.setup(data)
    adam = {"directions": Adam(lr=2e-3)}
    trainer = Trainer(system, Stream(data, 32, seed=seed), adam, steps=steps, accumulate=1, ema_decay=0)
    for _ in range(steps):
        trainer.iterate()
    return system.directions


def moved(directions: Directions, number: int, seeds: range, reach: float) -> Tensor:
    """(seeds, SIDE, SIDE): by how much each pixel changes from one end of a direction to the other."""
    strip = directions.strip(number, [-reach, reach], seeds)
    return (strip[:, 1] - strip[:, 0]).abs().mean(1)


def background(directions: Directions, reach: float) -> int:
    """The direction that moves the border of images most, beside the middle: nobody has to look for it."""
    scores = []
    for k in range(len(directions)):
        change = moved(directions, k, range(100, 116), reach).mean(0)
        border = torch.cat([change[0], change[-1], change[:, 0], change[:, -1]]).mean()
        scores.append(border - change[12:20, 12:20].mean())
    return int(torch.stack(scores).argmax())


def masks(directions: Directions, number: int, seeds: range, reach: float) -> Tensor:
    """(seeds, SIDE, SIDE) bool: the pixels that a direction leaves as they are, by half of what moves most."""
    change = moved(directions, number, seeds, reach)
    return change < 0.5 * change.flatten(1).quantile(0.9, 1)[:, None, None]


def overlap(found: Tensor, true: Tensor) -> float:
    """Mean of intersection over union of (n, H, W) bool."""
    return ((found & true).sum((1, 2)) / (found | true).sum((1, 2)).clamp_min(1)).mean().item()


def true_masks(made: Discs, seeds: range) -> Tensor:
    """Of the samples of these seeds."""
    latents, _ = samples_of(OwnGenerator(made), seeds)
    return made.inside(latents) > 0.5


def main(steps: int = 600) -> float:
    made, seeds, reach = Discs(), range(64), usual(DIM).scale
    directions = learned(made, steps)
    number = background(directions, reach)
    found = overlap(masks(directions, number, seeds, reach), true_masks(made, seeds))
    print(f"direction {number} moves the background; its masks and the true ones overlap by {found:.2f}")
    return found


if __name__ == "__main__":
    main()

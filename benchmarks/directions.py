"""Directions that were learned beside SeFa, GANSpace, random ones and coordinates, at equal budgets.

    python -m benchmarks.directions renderer [--seeds 0 1 2] [--steps 2000] [--noise 0.03]
    python -m benchmarks.directions shapes|mnist|fashion_mnist [--seeds 0 1 2] [--gan WEIGHTS] [--judge WEIGHTS]
    python -m benchmarks.directions fashion_mnist --set optimizers.directions.lr=1e-4 train.steps=10000 --out OTHER

`renderer` is an exact generator: a soft ellipse whose six factors are a turned part of a latent of 24 numbers, of which
the other 18 do nothing, and noise on every image. It prints how often a network that has learned for as many steps
names the direction of new pairs (RCA), the error of the strength, the share of the directions' energy in the six
dimensions that are seen (6/24 by chance), and the mean |cosine| of the factors to the directions matched to them.

The other three train recipes/DATA/directions with each seed, its GAN as well unless one is given, the stage
`directions` changed by --set, and compare what it found with the other methods in the same space: RCA at a small
budget, mean |Spearman| of the five directions that follow a measured property best, mean uniqueness; for each known
factor how far the direction that moves it most does so, and the other factor that this one moves most, in standard
deviations over real images (of classes the share that becomes another); and how many directions move one factor
alone: by half a deviation, all others by a quarter at most. Known factors are those that --judge reads, a predictor
such as recipes/shapes/judge makes; without one, hue, size, place and ground of shapes, and of other images what
pixels show, such as brightness and area.

What is unfinished is resumed; what was measured is kept in --out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.runs import kept
from genkit.classifiers.measured_shape import MeasuredShape
from genkit.core import catalog
from genkit.core.frozen import freeze
from genkit.core.generator import LatentGenerator
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import Randomness
from genkit.images.property_changes import PixelJudge, Properties
from genkit.posthoc.directions.deformators import (
    Deformator,
    FixedDirections,
    LatentCoordinates,
    OrthogonalDeformator,
    UnitColumns,
)
from genkit.posthoc.directions.direction_scores import moved_by, rival, score
from genkit.posthoc.directions.directions import Directions
from genkit.posthoc.directions.reconstructors import LeNetReconstructor
from genkit.posthoc.directions.shifts import Shifts, usual
from genkit.posthoc.directions.telling import tried
from genkit.posthoc.directions.training import DirectionsTraining
from genkit.training import train
from genkit.training.optimizers import Adam
from genkit.training.rate_schedules import Linear
from genkit.training.staged import load_recipe
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

Spec = dict[str, Any]
DIM, FACTORS, DIRECTIONS, SIDE = 24, 6, 12, 32
MOVES, RESTS = 0.5, 0.25
"""Deviations from which on a factor is moved, and up to which it is left."""
METHODS = ("learned", "sefa", "ganspace", "random", "coordinate")


class Renderer(LatentGenerator):
    """z (n, 24) -> f = Q z -> a soft ellipse by the first six of f: x, y, size, aspect, its grey and that around it."""

    sample_shape = (1, SIDE, SIDE)

    def __init__(self, seed: int = 0, noise: float = 0.03):
        super().__init__()
        self.noise = noise
        rng = torch.Generator().manual_seed(seed)
        self.register_buffer("turn", torch.linalg.qr(torch.randn(DIM, DIM, generator=rng)).Q)

    def latents(self, randomness: Randomness) -> Tensor:
        return randomness.normal(DIM)

    def forward(self, z: Any, condition: Mapping[str, Tensor] | None = None) -> Tensor:
        x, y, size, aspect, light, around = (0.5 * z @ self.turn.T)[:, :FACTORS].tanh().T[..., None, None]  # type: ignore[operator]
        line = torch.linspace(-1, 1, SIDE)
        radius, stretch = 0.45 + 0.2 * size, (0.5 * aspect).exp()
        far = (((line - 0.4 * x) * stretch) ** 2 + ((line[:, None] - 0.4 * y) / stretch) ** 2).sqrt()
        inside = ((radius - far) / 0.06).sigmoid()
        image = (-0.45 + 0.35 * around) + inside * (0.9 + 0.35 * light - 0.35 * around)
        return image[:, None] + self.noise * torch.randn(len(z), *self.sample_shape)


def renderer(given: argparse.Namespace) -> None:
    print("| directions, seed | RCA | error of strength | energy seen | cosine to factors |\n|---|---|---|---|---|")
    for seed in given.seeds:
        for name in ("random", "coordinates", "unit_columns", "orthogonal"):
            path = given.out / f"renderer-{name}-{seed}-{given.steps}-{given.noise}.json"
            found = kept(path, lambda n=name, s=seed: of_renderer(n, s, given.steps, given.noise))  # type: ignore[misc]
            told = " | ".join(f"{found[key]:.3f}" for key in ("accuracy", "error", "energy", "cosine"))
            print(f"| {name}, {seed} | {told} |", flush=True)


def of_renderer(name: str, seed: int, steps: int, noise: float) -> Spec:
    torch.manual_seed(seed)
    generator, shifts = Renderer(seed, noise), Shifts(3.0, 0.25)
    kinds: dict[str, type[Deformator]] = {
        "random": FixedDirections,
        "coordinates": LatentCoordinates,
        "unit_columns": UnitColumns,
        "orthogonal": OrthogonalDeformator,
    }
    reader = LeNetReconstructor(DIRECTIONS)
    system = DirectionsTraining(freeze(generator), kinds[name](DIRECTIONS, DIM), reader, shifts=shifts, unit=1.0)
    trained(system, steps, seed)
    told = tried(reader.eval(), system.directions, shifts, torch.Generator().manual_seed(seed + 1000))
    rows = torch.nn.functional.normalize(system.directions.rows(), dim=1) @ generator.turn.T  # type: ignore[operator]
    seen = rows[:, :FACTORS]
    return {
        "accuracy": told.accuracy,
        "error": told.error,
        "energy": seen.square().sum(1).mean().item(),
        "cosine": matched(seen.abs()),
    }


def trained(system: DirectionsTraining, steps: int, seed: int) -> None:
    """At a rate of 1e-3 that falls in the last fifth."""
    data = catalog.build({"type": "blank", "n": 1})
    system.setup(data)
    adam = {"directions": Adam(lr=1e-3, schedule=Linear(steps * 4 // 5, 0.05))}
    trainer = Trainer(system.train(), Stream(data, 32, seed=seed), adam, steps=steps, accumulate=1, ema_decay=0)
    for _ in range(steps):
        trainer.iterate()


def matched(likeness: Tensor) -> float:
    """Mean over the factors of (K, factors), each with another direction, by the best assignment."""
    from scipy.optimize import linear_sum_assignment

    chosen = linear_sum_assignment(-likeness.numpy())
    return float(likeness.numpy()[chosen].mean())


def recorded(given: argparse.Namespace) -> None:
    print("| method, seed | RCA | rho, top five | own effect | factors: moved (another by) | directions of one alone |")
    print("|---" * 6 + "|")
    for seed in given.seeds:
        learned = of_recipe(given, seed)
        for method in METHODS:
            found = measured(given, method, learned, seed)
            factors = ", ".join(f"{k} {a:.2f} ({other} {b:.2f})" for k, (a, other, b) in found["factors"].items())
            alone = ", ".join(f"{name} {found['alone'].count(name)}" for name in dict.fromkeys(found["alone"]))
            told = " | ".join(f"{found[key]:.3f}" for key in ("accuracy", "top_five", "unique"))
            print(f"| {method}, {seed} | {told} | {factors or '-'} | {alone or '-'} |", flush=True)


def of_recipe(given: argparse.Namespace, seed: int) -> Directions:
    """Directions of the recipe with this seed, trained or resumed; of the finished GAN that was given, if one was."""
    of_gan = f"stages.gan={{weights: {given.gan}}}" if given.gan else f"stages.gan.train.seed={seed}"
    changes = [of_gan, f"stages.directions.train.seed={seed}", *(f"stages.directions.{change}" for change in given.set)]
    folder = train(load_recipe(f"{given.what}/directions", changes), given.out / f"{given.what}-{seed}", resume=True)
    found = Pretrained.from_pretrained(folder)
    assert isinstance(found, Directions)
    return found


def measured(given: argparse.Namespace, method: str, learned: Directions, seed: int) -> Spec:
    """Scores of one method, in the space and unit of the learned directions and as many."""
    directions = learned if method == "learned" else rival(learned, method, seed)
    factors = f"{given.what}-{method}-{'judged' if given.judge else 'factors'}-{seed}.json"
    return {
        **kept(given.out / f"{given.what}-{method}-{seed}.json", partial(told_apart, directions, seed)),
        **kept(given.out / factors, partial(by_factors, directions, given.what, given.judge, seed)),
    }


def told_apart(directions: Directions, seed: int) -> Spec:
    scored = score(directions, seed=seed)
    best = sorted((max(map(abs, one.moves.values())) for one in scored.each), reverse=True)[:5]
    return {
        "accuracy": scored.accuracy["own"],
        "top_five": sum(best) / len(best),
        "unique": sum(one.uniqueness for one in scored.each) / len(scored.each),
    }


def by_factors(directions: Directions, data: str, judge: str | None, seed: int) -> Spec:
    moved = factors_moved(directions, data, judge, seed)
    return {
        "factors": {name: max((one[name], *_other(one, name)) for one in moved) for name in (moved or [{}])[0]},
        "alone": [name for one in moved for name in one if one[name] >= MOVES and _other(one, name)[1] <= RESTS],
    }


def factors_moved(
    directions: Directions, data: str, judge: str | None, seed: int, n: int = 64
) -> list[dict[str, float]]:
    """How far each direction moves every factor: of shapes those that are known, else what pixels show."""
    images = catalog.build({"type": data, "split": "test"}).rows(torch.arange(1000))
    measured: Any = MeasuredShape() if data == "shapes" else PixelJudge(images)
    reader: Any = Pretrained.from_pretrained(judge) if judge else measured
    properties, reach = Properties(reader, images), usual(directions.space.dim).scale / 2
    each = [moved_by(directions, k, reach, properties, range(seed, seed + n)) for k in range(len(directions))]
    return [{name: change.abs().mean().item() for name, change in changes.items()} for changes in each]


def _other(moved: Mapping[str, float], name: str) -> tuple[str, float]:
    """The factor beside `name` that is moved most, and how far."""
    return max(((k, v) for k, v in moved.items() if k != name), key=lambda pair: pair[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["renderer", "shapes", "mnist", "fashion_mnist"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000, help="Of a renderer's networks.")
    parser.add_argument("--noise", type=float, default=0.03, help="Of a renderer's images, in [-1, 1].")
    parser.add_argument("--gan", help="A finished GAN in the place of the recipe's first stage.")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="Of the stage of directions.")
    parser.add_argument("--judge", help="A predictor of attributes, for shapes.")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/directions"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    (renderer if given.what == "renderer" else recorded)(given)


if __name__ == "__main__":
    main()

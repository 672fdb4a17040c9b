"""An iteration of TransGAN's game by genkit's trainer beside `transgan_plain`, at equal size from equal weights.

    python -m benchmarks.transgan step_time [16 32]

Two critic steps with gradient penalty, score drift and DiffAugment, and one generator step; batch 32. Both sides run in
turns in one process, timed in its CPU seconds; the figure is the median of the ratios of neighbouring turns.
"""

from __future__ import annotations

import copy
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from accelerate import Accelerator

from benchmarks import transgan_plain as plain
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe

TURNS = {16: 6, 32: 3}
ITERATIONS = {16: 3, 32: 1}
CONTENDERS = ("genkit", "authors' loop", "frozen")


def sides(size: int, reach: int) -> dict[str, Callable[[], Any]]:
    """One iteration of each, from equal weights."""
    mask = [{"type": "locality_mask", "widths": [reach], "until": [10**6]}] if reach else []
    where = ("data", "system.generator.network", "system.critic")
    overrides = [*(f"{path}.size={size}" for path in where), "evaluate=null", "system.cotasks=[]"]
    overrides += [f"system.schedules={mask}", "system.generator.network.low_resolution=false", "train.trackers=[]"]
    _, trainer = prepare(Recipe.load("fashion_mnist/transgan", overrides), Accelerator(cpu=True))
    system: Any = trainer.system
    generator = plain.Generator(64, size, 1, 64, [2, 1, 1])
    critic = plain.Critic(size, 1, 4, 64, 2)
    generator.load_state_dict(system.generator.network.state_dict())
    critic.load_state_dict(system.critic.state_dict())
    generator.reach = reach
    x = torch.rand(32, 1, size, size) * 2 - 1
    agree(system, plain.Game(generator, critic, system.view, frugal=False), x)
    game, frugal = (
        plain.Game(copy.deepcopy(generator), copy.deepcopy(critic), system.view, frugal=frugal)
        for frugal in (False, True)
    )
    return {
        "genkit": trainer.iterate,
        "authors' loop": lambda: game.iterate([x, x]),
        "frozen": lambda: frugal.iterate([x, x]),
    }


def agree(system: Any, game: plain.Game, x: torch.Tensor) -> None:
    """Both are the same game: equal fakes and equal critic losses."""
    for schedule in system.schedules:
        schedule.apply(system, 0)
    z, u = torch.randn(len(x), 64), torch.rand(len(x))
    system.generator.requires_grad_(False)
    with torch.no_grad():
        fake = game.generator(z)
        torch.testing.assert_close(system.generator(z), fake, atol=1e-5, rtol=1e-4)
    losses = []
    for side in (lambda: sum(system.critic_loss(x, {}, z, u).values()), lambda: game.critic_loss(x, fake, u)):
        torch.manual_seed(0)
        losses.append(side())
    torch.testing.assert_close(losses[0], losses[1], atol=1e-4, rtol=1e-4)


def measure(size: int, reach: int) -> dict[str, list[float]]:
    """CPU ms an iteration, turn by turn."""
    contenders, times = sides(size, reach), {}
    for turn in range(TURNS[size] + 1):
        names = list(contenders) if turn % 2 else list(reversed(contenders))
        for name in names:
            gc.collect()
            start = time.process_time()
            for _ in range(ITERATIONS[size]):
                contenders[name]()
            times.setdefault(name, []).append((time.process_time() - start) / ITERATIONS[size] * 1000)
    return {name: values[1:] for name, values in times.items()}


def against(times: dict[str, list[float]], name: str) -> str:
    ratios = sorted(b / a for a, b in zip(times["genkit"], times[name], strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def main(sizes: Sequence[int]) -> None:
    print("| | genkit, ms | authors' loop, ms | with the rest frozen, ms | ratio to the loop | ratio to frozen |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        for reach in (0, 4):
            times = measure(size, reach)
            cells = [f"{statistics.median(times[name]):.0f}" for name in CONTENDERS]
            ratios = [against(times, "authors' loop"), against(times, "frozen")]
            what = f"{size} px" + (f", mask of half-width {reach}" if reach else "")
            print(f"| {what} | " + " | ".join([*cells, *ratios]) + " |", flush=True)

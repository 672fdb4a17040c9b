"""genkit as `genkit new DATA --minutes N --system SYSTEM` plans it, without labels; and a VampPrior."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmarks.peers.contestant import MARGIN, Contestant, Images, count
from benchmarks.peers.settings import EVALUATIONS
from genkit.images.pixels import to_uint8
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.starters.starter import SHARE, Wish, starter
from genkit.training.starters.survey import survey

TIMED, WARM = 4, 1
"""Iterations that are timed, as many as those after which a penalty comes, and those before."""
BATCH = 250


class Planned(Contestant):
    def __init__(self, recipe: Recipe, spent: float):
        self.recipe, self.spent = recipe, spent
        _, self.trainer = prepare(recipe, Accelerator(cpu=True))
        self.about = about(recipe)
        optimizers = {f"optimizer of {name}": o for name, o in self.trainer.optimizers.items()}
        self.parts = {"system": self.trainer.system, "average": self.trainer.ema.module, **optimizers}

    def step(self) -> None:
        self.trainer.iterate()
        self.steps = self.trainer.step

    @property
    def done(self) -> bool:
        return self.trainer.step >= self.trainer.steps

    @property
    def parameters(self) -> int:
        return count(self.trainer.ema.module)

    def sample(self, n: int) -> Tensor:
        rng = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        return torch.cat([to_uint8(x) for x in self.trainer.averaged().stream(n, BATCH, rng=rng)])


class Timing:
    """CPU seconds of an iteration, by trying; adds up what that takes."""

    def __init__(self) -> None:
        self.spent = 0.0

    def __call__(self, recipe: Recipe) -> float:
        _, trainer = prepare(recipe, Accelerator(cpu=True))
        start = time.process_time()
        for _ in range(WARM):
            trainer.iterate()
        middle = time.process_time()
        for _ in range(TIMED):
            trainer.iterate()
        end = time.process_time()
        self.spent += end - start
        return (end - middle) / TIMED


def build(images: Images, seed: int, seconds: float, system: str) -> Contestant:
    timing = Timing()
    found = replace(survey(images.named), classes={})
    made = starter(found, Wish(system, Path(f"{system}.yaml"), MARGIN * seconds / 60 / SHARE, seed=seed), timing)  # type: ignore[arg-type]
    tree = made.recipe.to_dict()
    if "solver" in tree["system"]["generator"]:
        tree["system"]["generator"]["solver"]["steps"] = EVALUATIONS
    return Planned(Recipe.from_dict(tree), timing.spent)


def vamp(images: Images, seed: int, seconds: float, name: str) -> Contestant:
    """A shipped recipe with a VampPrior, its length and schedules those of the budget."""
    recipe, timing = Recipe.load(name), Timing()
    steps = int(MARGIN * seconds / timing(recipe))
    share = steps / recipe.train.steps
    tree: dict[str, Any] = recipe.to_dict()
    tree["train"] |= {"steps": steps, "seed": seed, "threads": None}
    tree["system"]["warmup"] = int(share * tree["system"]["warmup"])
    tree["optimizers"]["vae"]["schedule"]["start"] = int(share * tree["optimizers"]["vae"]["schedule"]["start"])
    return Planned(Recipe.from_dict(tree), timing.spent)


def about(recipe: Recipe) -> str:
    network = recipe.system["generator"]["network"]
    rates = ", ".join(f"{float(rate):g}" for rate in dict.fromkeys(o["lr"] for o in recipe.optimizers.values()))
    return f"{network['type']} of width {network['width']}, batch {recipe.train.batch_size}, rate {rates}"

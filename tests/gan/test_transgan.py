"""Iterations of the TransGAN authors' training, and TransGAN's techniques together."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from genkit import foreign
from genkit.core.system import Batch
from genkit.gan.gan import GAN, GANTraining
from genkit.gan.gradient_penalty import GradientPenalty
from genkit.gan.locality_mask import LocalityMask
from genkit.gan.score_drift import ScoreDrift
from genkit.gan.slots import Ascent
from genkit.training.optimizers import Adam
from genkit.training.trainer import Trainer
from tests.shared import shared

LATE = 10**6
"""An iteration at which the averaged copy's decay has reached its constant."""


class Recorded:
    """Batches, latents and interpolation weights in the order in which the authors' run drew them.

    A latent batch of the generator's is as large as two of the critic's, and is drawn in two halves.
    """

    def __init__(self, io: dict[str, Tensor]):
        self.io, self.counts = io, {"batch": 0, "alpha": 0}
        self.noise = [half for i in range(6) for half in io[f"noise.{i}"].split(2)]
        self.seed, self.mine = 0, slice(0, len(io["batch.0"]))

    def begin(self, step: int) -> None:
        pass

    def _take(self, name: str) -> Tensor:
        self.counts[name] += 1
        return self.io[f"{name}.{self.counts[name] - 1}"]

    def __next__(self) -> Batch:
        x = self._take("batch")
        return Batch(x, {}, torch.arange(len(x)))

    def normal(self, *shape: int) -> Tensor:
        return self.noise.pop(0)

    def uniform(self) -> Tensor:
        return self._take("alpha")


def official() -> tuple[Trainer, dict[str, Tensor], dict]:
    folder = shared("fixtures/transgan/v1_trajectory")
    io, config = load_file(folder / "io.safetensors"), json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "weights.safetensors")
    system = GANTraining(
        GAN(foreign.load("transgan/v1_generator", weights, config)),
        foreign.load("transgan/v1_critic", weights, config).network,
        penalties=[GradientPenalty(10), ScoreDrift(1e-3)],
        rule=Ascent(batches=config["gen_batch_size"] // config["B"]),
        schedules=[LocalityMask([4], [10 * LATE])],
    ).train()
    step = {"betas": (config["beta1"], config["beta2"]), "clip_norm": config["grad_clip"]}
    optimizers = {"critic": Adam(lr=config["d_lr"], **step), "generator": Adam(lr=config["g_lr"], **step)}
    trainer = Trainer(system, Recorded(io), optimizers, steps=10 * LATE, ema_decay=config["ema"])
    trainer.step = LATE
    return trainer, io, config


def test_trajectory_is_the_authors() -> None:
    """Their generator moves after the critic's steps 0 and 2: iterations of one and of two steps, and a last one."""
    trainer, io, config = official()
    losses = []
    perform = trainer.perform
    trainer.perform = lambda update: (losses.append((update.learner, perform(update))), losses[-1][1])[1]
    trainer.iterate()
    trainer.system.critic_steps = 2
    trainer.iterate()
    trainer.perform(next(trainer.system.iteration(trainer.stream, LATE)))
    logged = [sum(v for k, v in report.items() if k != "gradient_norm").item() for _, report in losses]
    assert [{"critic": "d_loss", "generator": "g_loss"}[learner] for learner, _ in losses] == [
        scalar["name"] for scalar in config["scalars"]
    ]
    assert logged == pytest.approx([scalar["value"] for scalar in config["scalars"]], abs=2e-4)
    final = {k.removeprefix("final."): v for k, v in io.items() if k.startswith("final.")}
    averaged = {k.removeprefix("ema."): v for k, v in io.items() if k.startswith("ema.")}
    theirs = foreign.load("transgan/v1_generator", final, config), foreign.load("transgan/v1_critic", final, config)
    assert_near(trainer.system.generator.network, theirs[0], 3e-4)
    assert_near(trainer.system.critic, theirs[1].network, 1e-5)
    assert_near(trainer.ema.module.network, foreign.load("transgan/v1_generator", averaged, config), 1e-6)
    assert trainer.system.generator.network.locality == 4 and trainer.ema.module.network.locality is None


def assert_near(mine: torch.nn.Module, theirs: torch.nn.Module, tolerance: float) -> None:
    for (name, p), q in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        assert (p - q).abs().max() <= tolerance, f"{name}: {(p - q).abs().max():.2e}"

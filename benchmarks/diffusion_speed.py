"""Training steps and 50-step sampling beside diffusers' unconditional example, with an equal UNet2DModel, in turns.

    python -m benchmarks.diffusion_speed [--rounds 6] [--batch 8 16 64]

The example's loop is restated from its parts: DDPMScheduler.add_noise, mean squared error, clipping, AdamW, EMAModel,
and DDPMPipeline for samples. Prints CPU milliseconds (medians) and the median of the ratios of each round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from genkit.cli.memory import keep_memory
from genkit.data.dataset import DataSet
from genkit.diffusion.ddpm import DDPM, DDPMTraining
from genkit.diffusion.networks.unet import UNet
from genkit.diffusion.networks.unet_plan import UNetPlan
from genkit.diffusion.process import Process
from genkit.diffusion.solvers import Ancestral
from genkit.training.optimizers import AdamW
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

SIZE, EVALUATIONS = 32, 50


def ours(batch: int, data: DataSet) -> tuple[Callable[[], object], Callable[[], object], DDPM]:
    network = UNet(UNetPlan(size=SIZE, width=32, multipliers=(1, 2, 2), blocks=1, attention=(8,), head_width=32))
    generator = DDPM(network, Process(1000, "linear", variance="fixed_large"), Ancestral(str(EVALUATIONS)))
    trainer = Trainer(
        DDPMTraining(generator),
        Stream(data, batch, seed=0),
        {"denoiser": AdamW(lr=1e-4, clip_norm=1.0)},
        steps=1000,
        channels_last=True,
    )
    return trainer.iterate, lambda: generator.sample(batch, rng=torch.Generator().manual_seed(0)), generator


def theirs(batch: int, data: DataSet, config: dict[str, object]) -> tuple[Callable[[], object], Callable[[], object]]:
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel

    unet, scheduler = UNet2DModel.from_config(config), DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-4)
    rate = get_scheduler("cosine", optimizer, num_warmup_steps=500, num_training_steps=1000)
    average = EMAModel(unet.parameters(), use_ema_warmup=True, inv_gamma=1.0, power=0.75)

    def step() -> None:
        x = data.rows(torch.randint(len(data), (batch,)))
        noise, t = torch.randn(x.shape), torch.randint(0, 1000, (batch,))
        loss = F.mse_loss(unet(scheduler.add_noise(x, noise, t), t).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        average.step(unet.parameters())

    pipeline = DDPMPipeline(unet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return step, lambda: pipeline(batch_size=batch, num_inference_steps=EVALUATIONS, output_type="np")


def seconds(work: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


HEAD = "| | genkit, CPU ms | {}, CPU ms | as fast, times (range) |\n|---|---|---|---|"


def in_turns(name: str, mine: Callable[[], object], other: Callable[[], object], rounds: int, times: int = 3) -> None:
    """Prints a row of the table that `HEAD` begins."""
    mine(), other()
    pairs = [(seconds(mine, times), seconds(other, times)) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    a, b = (1000 * statistics.median(column) for column in zip(*pairs, strict=True))
    found = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    print(f"| {name} | {a:.0f} | {b:.0f} | {found} |", flush=True)


def noise() -> DataSet:
    return DataSet("noise", torch.randint(256, (512, 3, SIZE, SIZE), dtype=torch.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--batch", nargs="+", type=int, default=[16])
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = noise()
    keep_memory()
    print(HEAD.format("diffusers"))
    for batch in given.batch:
        step, sample, generator = ours(batch, data)
        their_step, their_sample = theirs(batch, data, dict(generator.network.unet.config))
        in_turns(f"training step of {batch} images", step, their_step, given.rounds)
        in_turns(f"{EVALUATIONS}-step sampling of {batch} images", sample, their_sample, given.rounds, 1)


if __name__ == "__main__":
    main()

"""Time that training stands still at a checkpoint of a large state, written by a thread and in turn.

    python -m benchmarks.checkpoints [--width 192] [--every 4] [--checkpoints 6] [--out runs/bench/checkpoints]

`fashion_mnist/ddpm` with a wide network, whose weights take about 100 MB, and with their averages and two moments 400;
two images a batch. Both ways in turns, so that other load of the machine meets both alike; medians of wall-clock time.
The stall is what the call takes; `beside` is what the next iteration takes more than the median one that nothing is
written beside; `interval` is a checkpoint with its iterations. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator

from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.saving import Saving, save_checkpoint
from genkit.training.trainer import Trainer

RECIPE = "fashion_mnist/ddpm"


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def interval(trainer: Trainer, every: int, checkpoint: Callable[[], object]) -> tuple[float, list[float]]:
    """Milliseconds of a checkpoint, and of the iterations after it."""
    return timed(checkpoint), [timed(trainer.iterate) for _ in range(every)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--checkpoints", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/checkpoints"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = ["train.trackers=[]", "evaluate=null", "train.batch_size=2"]
    settings += [f"system.generator.network.width={given.width}"]
    _, trainer = prepare(Recipe.load(RECIPE, settings), Accelerator(cpu=True))
    trainer.iterate()
    saving = Saving(trainer.accelerator)
    ways: dict[str, Callable[[], object]] = {
        "in turn": lambda: save_checkpoint(trainer, given.out),
        "by a thread": lambda: saving.begin(trainer, given.out),
    }
    found: dict[str, list[tuple[float, list[float]]]] = {way: [] for way in ways}
    for _ in range(given.checkpoints):
        for way, checkpoint in ways.items():
            found[way].append(interval(trainer, given.every, checkpoint))
            saving.wait()
    newest = max(given.out.glob("step-*"))
    size = sum(path.stat().st_size for path in newest.iterdir()) / 2**20
    print(f"{size:.0f} MiB a checkpoint\n")
    print("| written | stall, ms | beside, ms | interval, ms |\n|---|---|---|---|")
    plain = statistics.median(ms for _, times in found["in turn"] for ms in times)
    for way, rows in found.items():
        stall, after = (statistics.median(column) for column in zip(*((s, t[0] - plain) for s, t in rows), strict=True))
        print(f"| {way} | {stall:.0f} | {after:.0f} | {statistics.median(s + sum(t) for s, t in rows):.0f} |")
    shutil.rmtree(given.out)


if __name__ == "__main__":
    main()

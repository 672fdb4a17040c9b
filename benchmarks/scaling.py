"""Time that a process pays an iteration beside computing, by number of processes; and its share of a step, on paper.

    python -m benchmarks.scaling [--rounds 100]

The last of N simulated processes goes through whole iterations of the trainer at the shapes of ADM: its noise, its rows
of the batch with labels and mirroring, the checks, and the log with a line every 100 iterations. Its network is one
number, so that next to nothing is computed; its loss touches no pixel. Each process has as many images as on 64 GPUs at
the published batch. Rounds go in turns over the numbers of processes; medians of the CPU time of its one thread, ratios
to one process in brackets. Exchanges between processes are not in it: tests/training/test_processes.py has real ones.

The second table is on paper: the same times beside those of a step by the rates of Dhariwal & Nichol 2021
(arXiv:2105.05233, Appendix A: images per second of one V100, its exchanges included). Nothing is taken to overlap,
though a GPU computes while its host prepares.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from genkit.core.interruption import StopFlag
from genkit.core.system import Data, System, Terms, Turns, Update, descend, observe
from genkit.data.dataset import DataSet
from genkit.training.engine import asked_to_stop
from genkit.training.log import Window
from genkit.training.optimizers import AdamW
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

T = TypeVar("T")

PROCESSES = (1, 8, 64, 1024)
ITEMS, CLASSES, LOG = 1_281_167, 1000, 100
"""Of ImageNet; every row is the same one here, so that it fits into memory."""


@dataclass(frozen=True)
class Shape:
    """A published training: pixels of a side, images of a process on 64 GPUs, images per second of one V100."""

    size: int
    rows: int
    rate: float


SHAPES = {"ADM-64": Shape(64, 32, 74.0), "ADM-256": Shape(256, 4, 6.4)}
PARTS = ("noise", "data", "trainer", "log", "all")


class Idle(System):
    """Draws and logs as `ddpm_training` does, and learns one number.

    Attributes:
        spent: seconds by part, of the iterations so far.
    """

    learners: ClassVar = {"denoiser": ("number",)}

    def __init__(self, size: int):
        super().__init__()
        self.number, self.size = nn.Linear(1, 1, bias=False), size
        self.spent: dict[str, float] = defaultdict(float)

    @property
    def products(self) -> dict[str, nn.Linear]:  # type: ignore[override]
        return {"number": self.number}

    def iteration(self, data: Data, step: int) -> Turns:
        batch = self.timed("data", lambda: next(data))
        i, noise = self.timed("noise", lambda: (data.integers(1000), data.normal(3, self.size, self.size)))
        yield Update("denoiser", self.loss, {"x0": batch.x, "i": i, "noise": noise, "label": batch.condition["label"]})

    def loss(self, **on: Tensor) -> Terms:
        one = self.number.weight.sum()
        return descend(mse=one, vb=one) | observe(**{f"quarter{i}": one.detach() for i in range(4)})

    def timed(self, part: str, work: Callable[[], T]) -> T:
        begun = time.thread_time()
        made = work()
        self.spent[part] += time.thread_time() - begun
        return made


class Process:
    """The last of `count` processes, which stands alone."""

    def __init__(self, shape: Shape, data: DataSet, count: int):
        stream = Stream(data, shape.rows * count, seed=0, rank=count - 1, world_size=count, mirror=True)
        self.system, rule = Idle(shape.size), AdamW(lr=1e-4)
        self.trainer = Trainer(self.system, stream, {"denoiser": rule}, steps=10**6, accelerator=Accelerator(cpu=True))
        self.window, self.stop = Window(), StopFlag()

    def iteration(self) -> list[float]:
        """Milliseconds by part."""
        spent = self.system.spent
        spent.clear()
        self.system.timed("all", self._iteration)
        spent["trainer"] = spent["all"] - spent["noise"] - spent["data"] - spent["log"]
        return [1000 * spent[part] for part in PARTS]

    def _iteration(self) -> None:
        scalars = self.trainer.iterate()
        self.system.timed("log", lambda: self._tell(scalars))

    def _tell(self, scalars: dict[str, Tensor]) -> None:
        self.window.add(scalars)
        if self.trainer.step % LOG == 0:
            self.trainer.check()
            self.window.close(self.trainer.accelerator)
        asked_to_stop(self.trainer.accelerator, self.stop)


def measured(shape: Shape, rounds: int) -> dict[int, list[float]]:
    """Milliseconds by part, the median of an iteration, by number of processes."""
    image = torch.randint(256, (1, 3, shape.size, shape.size), dtype=torch.uint8)
    labels = torch.randint(CLASSES, (ITEMS,))
    data = DataSet("one image", image.expand(ITEMS, -1, -1, -1), labels, tuple(map(str, range(CLASSES))))
    processes = {count: Process(shape, data, count) for count in PROCESSES}
    times: dict[int, list[list[float]]] = {count: [] for count in PROCESSES}
    for _ in range(rounds):
        for count, process in processes.items():
            times[count].append(process.iteration())
    return {count: [statistics.median(column) for column in zip(*rows, strict=True)] for count, rows in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    found = {name: measured(shape, rounds) for name, shape in SHAPES.items()}
    print("| shape | processes | " + " | ".join(f"{part}, ms" for part in PARTS) + " |\n" + "|---" * 7 + "|")
    for name, by_count in found.items():
        for count, row in by_count.items():
            cells = [f"{ms:.2f} ({ms / one:.2f})" for ms, one in zip(row, by_count[1], strict=True)]
            print(f"| {name} | {count:,} | " + " | ".join(cells) + " |")
    print(
        "\n| shape | images of a GPU | a step of a V100, ms | genkit's share at "
        + ", ".join(map(str, PROCESSES))
        + " |"
    )
    print("|---|---|---|---|")
    for name, shape in SHAPES.items():
        step = 1000 * shape.rows / shape.rate
        shares = ", ".join(f"{paid[-1] / (step + paid[-1]):.2%}" for paid in found[name].values())
        print(f"| {name} | {shape.rows} | {step:.0f} | {shares} |")


if __name__ == "__main__":
    main()

"""Time of an iteration where rows come from a slow disk, read ahead by a thread and not.

    python -m benchmarks.reading [--row-ms 0.5]

Images stand behind an artificial delay a row; computing is that of a recipe. Both ways run in turns, so that other load
of the machine meets both alike; medians of wall-clock time. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from accelerate import Accelerator
from torch import Tensor

from genkit.data.dataset import DataSet
from genkit.training.preparation import AHEAD, prepare
from genkit.training.recipe import Recipe
from genkit.training.stream import Stream
from genkit.training.trainer import Trainer

RECIPE, ITERATIONS = "fashion_mnist/vae", 60


class SlowDisk(DataSet):
    """Each row takes `delay` seconds to arrive."""

    delay = 0.0

    def stored(self, index: Tensor) -> Tensor:
        time.sleep(self.delay * len(index))
        return super().stored(index)


def trainer(recipe: Recipe, delay: float, ahead: int) -> Trainer:
    _, made = prepare(recipe, Accelerator(cpu=True))
    whole = made.stream.source
    slow = SlowDisk(**{name: getattr(whole, name) for name in whole.__dataclass_fields__})
    object.__setattr__(slow, "delay", delay)
    made.stream = Stream(slow, recipe.train.batch_size, seed=recipe.train.seed, mirror=recipe.train.mirror, ahead=ahead)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row-ms", type=float, nargs="+", default=[0.0, 0.25, 0.5, 1.0])
    torch.set_num_threads(1)
    recipe = Recipe.load(RECIPE, ["train.trackers=[]", "evaluate=null"])
    print("| a row, ms | reading a batch, ms | iteration in turn, ms | read ahead, ms |\n|---|---|---|---|")
    for delay in parser.parse_args().row_ms:
        ways = {ahead: trainer(recipe, delay / 1000, ahead) for ahead in (0, AHEAD)}
        times: dict[int, list[float]] = {ahead: [] for ahead in ways}
        for _ in range(ITERATIONS):
            for ahead, made in ways.items():
                begun = time.perf_counter()
                made.iterate()
                times[ahead].append(1000 * (time.perf_counter() - begun))
        plain, early = (statistics.median(times[ahead][3:]) for ahead in ways)
        print(f"| {delay:g} | {delay * recipe.train.batch_size:.0f} | {plain:.0f} | {early:.0f} |", flush=True)
        ways[AHEAD].stream.close()


if __name__ == "__main__":
    main()

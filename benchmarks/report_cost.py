"""CPU seconds of renewing report.html, at the first grid, which loads matplotlib, and at later ones; and the seconds of
scoring real samples against real ones, once a process.

    python -m benchmarks.report_cost
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from statistics import median

import torch

from genkit.evaluation.judges import BySamples
from genkit.images.grid import grid
from genkit.images.pixels import write_png
from genkit.training.recipe import Evaluate, Recipe
from genkit.training.report import GRIDS, write_report
from genkit.training.run_folder import RunFolder

CURVES, AGAIN = 7, 5


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    recipe = Recipe.load("digits/wgan_ratio_clipping")
    for lines in (100, 20_000):
        with tempfile.TemporaryDirectory() as place:
            folder = filled(RunFolder(place), lines)
            seconds = [timed(folder, recipe) for _ in range(1 + AGAIN)]
            size = folder.report.stat().st_size / 1e6
        print(
            f"{lines:,} log lines, {GRIDS} grids, {size:.1f} MB: {seconds[0]:.2f} s, then {median(seconds[1:]):.2f} s"
        )
    start = time.monotonic()
    data, asked = recipe.build_data(), Evaluate(metrics=["fd", "kd", "pr"], n=1000)
    BySamples().floor(data, data, asked, 0, lambda done, total: None)
    print(f"real against real, n = {asked.n:,}: {time.monotonic() - start:.1f} s")


def filled(folder: RunFolder, lines: int) -> RunFolder:
    """A run of 64 colour images of noise a grid, which compress worst, and so many lines of its log."""
    for k in range(GRIDS):
        write_png(folder.grid(k + 1), grid(torch.rand(64, 3, 32, 32) * 2 - 1, 8))
    rows = torch.rand(lines, CURVES).tolist()
    log = (
        {"step": k + 1, "seconds": float(k), **{f"critic/{c}": v for c, v in enumerate(row)}}
        for k, row in enumerate(rows)
    )
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in log))
    return folder


def timed(folder: RunFolder, recipe: Recipe) -> float:
    start = time.process_time()
    write_report(folder, recipe, under_way=True)
    return time.process_time() - start


if __name__ == "__main__":
    main()

"""Effect of batch statistics of their own on averaged weights: FD with them, and with those of the live network.

    python -m benchmarks.batch_statistics [KEY=VALUE ...] [--out runs/bench] [--seeds 0 1 2]

Trains digits/wgan_ratio_clipping with each seed, keeping every checkpoint, and scores the same averaged weights twice
at each: as the checkpoint has them, and with the running statistics that the live generator had. What is unfinished is
resumed; scores are kept beside the run. Prints a Markdown table, mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from benchmarks.runs import train_once
from genkit.core.catalog import build
from genkit.evaluation import evaluate
from genkit.training.checkpoint import complete
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder

RECIPE = "digits/wgan_ratio_clipping"
EVERY = 300
SAMPLES = 5000
KINDS = ("live", "own")


def recipe(seed: int, overrides: list[str]) -> Recipe:
    kept = [f"train.seed={seed}", f"every.checkpoint={EVERY}", "every.keep=1000", "every.grid=0", "evaluate=null"]
    return Recipe.load(RECIPE, [*kept, "train.trackers=[]", *overrides])


def scored(checkpoint: Path, made: Recipe) -> dict[str, float]:
    """FD of the averaged weights in `checkpoint` by kind of statistics."""
    kept = checkpoint.parents[1] / f"fd-{checkpoint.name}.json"
    if not kept.is_file():
        kept.write_text(json.dumps({kind: _distance(checkpoint, made, kind) for kind in KINDS}))
    found: dict[str, float] = json.loads(kept.read_text())
    return found


def _distance(checkpoint: Path, made: Recipe, kind: str) -> float:
    generator: Any = build(made.system["generator"], kind="generators")
    state = load_file(checkpoint / "ema.safetensors")
    if kind == "live":
        live = load_file(checkpoint / "system.safetensors")
        state |= {k: live[f"generator.{k}"] for k in state if "running" in k}
    generator.load_state_dict(state)
    scores = evaluate(generator.eval(), "digits", ["fd"], SAMPLES, extractor="mnist-classifier", seed=0)
    return float(scores["fd"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    table: dict[str, list[dict[str, float]]] = {}
    for seed in given.seeds:
        made, folder = recipe(seed, given.overrides), RunFolder(given.out / f"batch-statistics-{seed}")
        train_once(made, folder)
        for checkpoint in complete(folder.checkpoints):
            table.setdefault(checkpoint.name, []).append(scored(checkpoint, made))
    print("| iteration | FD, live statistics | FD, own statistics | own / live |\n|---|---|---|---|")
    for name, rows in table.items():
        ratios = [row["own"] / row["live"] for row in rows]
        cells = [_mean([row[kind] for row in rows]) for kind in KINDS] + [_mean(ratios)]
        print(f"| {int(name.removeprefix('step-')):,} | {' | '.join(cells)} |")


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    main()

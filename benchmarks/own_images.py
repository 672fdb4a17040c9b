"""The GAN that `genkit new` writes for a folder of images: by the weight of its penalty, from scratch and from weights.

python -m benchmarks.own_images photos digits --r1 1 0.1 --seeds 0 1 2 --out runs/own
python -m benchmarks.own_images photos --start small-photos-gan --out runs/own
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.runs import cpu_seconds, kept, train_once
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from genkit.training.starters.fine_tuning import fine_tuned
from genkit.training.starters.starter import Wish, starter
from genkit.training.starters.survey import Survey, survey

LOOKS = 4
"""Scores of a training, the last one of the finished weights."""


def recipe_of(found: Survey, r1: float, start: str | None, seed: int, steps: int, width: int) -> Recipe:
    """The recipe as it is written, but for the length, the width and the penalty; scored LOOKS times."""
    wish = Wish("gan", Path("own.yaml"), minutes=30, seed=seed)
    made = fine_tuned(found, wish, start, lambda recipe: 0.1) if start else starter(found, wish, lambda recipe: 0.1)
    tree = made.recipe.to_dict()
    if not start:
        for network in (tree["system"]["generator"]["network"], tree["system"]["critic"]):
            network["width"] = width
    tree["system"]["penalties"][0]["weight"] = r1
    tree["train"] |= {"steps": steps, "threads": 1}
    look = steps // LOOKS
    tree["every"] = {"log": 50, "grid": look, "checkpoint": look, "evaluate": look}
    tree["evaluate"] = {"metrics": ["fd", "pr"], "n": min(found.count, 500)}
    return Recipe.from_dict(tree)


def measured(recipe: Recipe, run: RunFolder, start: str | None) -> dict[str, Any]:
    train_once(recipe, run, start)
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    on_the_way = {row["step"]: row["eval/fd"] for row in rows if "eval/fd" in row}
    return {"scores": json.loads(run.scores.read_text()), "on_the_way": on_the_way, "cpu_seconds": cpu_seconds(run)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="+", help="folders or zips")
    parser.add_argument("--r1", type=float, nargs="+", default=[0.1])
    parser.add_argument("--start", help="weights that the trainings begin from")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--width", type=int, default=48, help="of both networks; those of weights are as they are")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    for path in args.images:
        found = survey(path)
        for seed in args.seeds:
            for r1 in args.r1:
                name = f"{path.stem}-{args.start or f'width{args.width}'}-r1-{r1:g}-{args.steps}-{seed}"
                recipe = recipe_of(found, r1, args.start, seed, args.steps, args.width)
                run = RunFolder(args.out / name)
                row = kept(args.out / f"{name}.json", partial(measured, recipe, run, args.start))
                print(name, json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

"""What `genkit new` writes for a folder of images: a GAN by the weight of its penalty, from scratch and from weights.

python -m benchmarks.own_images photos digits --r1 1 0.1 --seeds 0 1 2 --out runs/own
python -m benchmarks.own_images photos --start small-photos-gan --out runs/own
python -m benchmarks.own_images photos --system ddpm --steps 9600 --out runs/own
python -m benchmarks.own_images photos --system ddpm --start small-photos-ddpm --steps 2400 --out runs/own
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
SECONDS = {"gan": 0.1, "ddpm": 1.0}
"""What an iteration is said to take, so that each machine has the same plan: of diffusion models the smallest one."""


def recipe_of(
    found: Survey, system: str, start: str | None, seed: int, steps: int, r1: float = 0.1, width: int = 48
) -> Recipe:
    """The recipe as it is written, but for its length and, of a GAN, width and penalty; scored LOOKS times."""
    wish = Wish(system, Path("own.yaml"), minutes=30, seed=seed)
    seconds = SECONDS[system]
    made = fine_tuned(found, wish, start, lambda _: seconds) if start else starter(found, wish, lambda _: seconds)
    tree = made.recipe.to_dict()
    if system == "gan" and not start:
        for network in (tree["system"]["generator"]["network"], tree["system"]["critic"]):
            network["width"] = width
    if system == "gan":
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
    parser.add_argument("--system", choices=("gan", "ddpm"), default="gan", help="that of --start")
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
            for r1 in args.r1 if args.system == "gan" else [0.1]:
                kind = f"{args.start or f'width{args.width}'}-r1-{r1:g}"
                name = f"{path.stem}-{kind if args.system == 'gan' else args.start or args.system}-{args.steps}-{seed}"
                recipe = recipe_of(found, args.system, args.start, seed, args.steps, r1, args.width)
                run = RunFolder(args.out / name)
                row = kept(args.out / f"{name}.json", partial(measured, recipe, run, args.start))
                print(name, json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

"""StyleEx where one class is rare: with and without `train.balanced`.

    python -m benchmarks.rare_class [--share 0.03] [--seeds 0 1] [--searched 250] [--out DIR]

The generator of shapes/styleex is trained on shapes of which so many are large; the classifier is that of the recipe,
and test images of both classes alike are searched and shown. Prints the rows of benchmarks.styleex, and how far redrawn
images of each class are from theirs. What is finished is kept, what was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import genkit
from benchmarks.styleex import COLUMNS, MEASURED, explained_by, of_tests, rows
from genkit.core.catalog import build
from genkit.core.pretrained import Pretrained
from genkit.data.dataset import DataSet
from genkit.explain.checks import distance
from genkit.explain.encoded import Encoded
from genkit.training.staged import load_recipe

NAME = "shapes/styleex"


def one_class_rare(data: DataSet, share: float) -> DataSet:
    """The rows of `data`, of the second class only so many of them that they are `share` of all."""
    assert data.labels is not None
    others, rare = ((data.labels == k).nonzero().flatten() for k in (0, 1))
    kept = round(len(others) * share / (1 - share))
    return data.taken(f"{data.name}, {share:.0%} of class 1", torch.cat([others, rare[:kept]]).sort().values)


def recipe_of(share: float, balanced: bool, seed: int) -> Any:
    data = {"type": "one_class_rare", "data": load_recipe(NAME).trainings["styleex"].data, "share": share}
    return load_recipe(
        NAME,
        [
            f"stages.styleex.data={data}",
            f"stages.styleex.train.balanced={balanced}",
            f"stages.styleex.train.seed={seed}",
        ],
    )


def redrawn(run: Path) -> list[str]:
    """L1 error of redrawn test images of each class over that of the mean image, and how many are decided alike."""
    generator: Any = Pretrained.from_pretrained(run)
    data: Any = build(of_tests(load_recipe(NAME).trainings["styleex"].data), kind="data")
    told = []
    for k, name in enumerate(data.classes):
        encoded = Encoded(generator, data.rows((data.labels == k).nonzero().flatten()[:500]))
        mean = (encoded.x - encoded.x.mean(0)).abs().mean().item()
        alike = (encoded.seen.argmax(1) == encoded.logits.argmax(1)).double().mean().item()
        told.append(f"{name}: {distance(encoded) / mean:.2f} of the mean image's L1, {alike:.1%} decided alike")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.03)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--searched", type=int, default=250)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/rare_class"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    genkit.register("data", "one_class_rare", "benchmarks.rare_class:one_class_rare")
    titles = (*COLUMNS, *MEASURED)
    print("| " + " | ".join(titles) + " |", "|---" * len(titles) + "|", sep="\n")
    told = []
    for seed in args.seeds:
        for balanced in (False, True):
            run = args.out / f"{args.share}-{'balanced' if balanced else 'as-it-comes'}-{seed}"
            found = explained_by(recipe_of(args.share, balanced, seed), run, NAME, args.searched)
            print(*rows(run.name, seed, found), sep="\n", flush=True)
            told += [f"{run.name}, {line}" for line in redrawn(run)]
    print(*told, sep="\n")


if __name__ == "__main__":
    main()

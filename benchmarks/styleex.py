"""StyleEx: classifiers whose reason is known, and others, explained on images that nothing was trained on.

    python -m benchmarks.styleex shapes/styleex [mnist/styleex ...] [--seeds 0 1] [--searched 250] [--out DIR]
    python -m benchmarks.styleex mnist/styleex --ablation

Trains each recipe with each seed of its generator (the classifier is the same), searches test images and others, and
writes the page beside the run. Prints a Markdown row for each target class: agreement and reconstruction, shares of
decisions that the top 1, 3 and 10 attributes flip, those of the originals that the differences of ten flip, that as
many random coordinates flip and that the probabilities flip; of rendered shapes what the top attribute moves, by
measurement, and how much of all else. Then how far two seeds agree. What is finished is kept, what was stopped goes on.
`--ablation`: generator, encoder and critic never hear of the classifier, as in shapes/styleex_without_classifier.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
import yaml

from genkit.cli.explaining.page import write_explanation
from genkit.core.catalog import build
from genkit.core.errors import DataError, EvaluationError
from genkit.core.pretrained import Pretrained
from genkit.explain.agreement import agreement
from genkit.explain.explaining import SearchSettings, explain
from genkit.explain.explanation import Explanation
from genkit.training import train
from genkit.training.staged import load_recipe

COLUMNS = (
    "recipe, seed",
    "towards",
    "agreement",
    "L1 / mean image's",
    "top 1",
    "top 3",
    "top 10",
    "on originals",
    "random 1, 3, 10",
)
TOP = (1, 3, 10)
MEASURED = ("only probabilities", "top attribute moves", "all else at most")


def recipe_of(name: str, seed: int, ablation: bool) -> Any:
    """The recipe with this seed of its generator; as an ablation no part of it hears of the classifier."""
    seeded = [f"stages.styleex.train.seed={seed}"]
    if not ablation:
        return load_recipe(name, seeded)
    system: Any = load_recipe(name).trainings["styleex"].system
    penalties = yaml.safe_dump([p for p in system["penalties"] if p["type"] != "agreement"], default_flow_style=True)
    blind = {"generator.network.appended": 0, "critic.outputs": 0, "penalties": penalties}
    return load_recipe(name, [*seeded, *(f"stages.styleex.system.{key}={value}" for key, value in blind.items())])


def explained(name: str, seed: int, ablation: bool, searched: int, out: Path) -> Explanation:
    """The explanation by one training of a shipped recipe."""
    run = out / f"{name.replace('/', '-')}{'-ablation' if ablation else ''}-{seed}"
    return explained_by(recipe_of(name, seed, ablation), run, name, searched)


def explained_by(recipe: Any, run: Path, name: str, searched: int) -> Explanation:
    """The explanation by a run of a recipe; trained and searched where that was not done."""
    train(recipe, run, resume=True)
    try:
        return Explanation.load(run / "explanation")
    except DataError:
        pass
    generator: Any = Pretrained.from_pretrained(run)
    data = build(of_tests(recipe.trainings["styleex"].data), kind="data")
    shapes = name.startswith("shapes/")
    judge = build({"type": "measured_shape", "size": generator.sample_shape[-1]}) if shapes else None
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: 2 * searched]
    settings = SearchSettings(searched=searched, seed=0)
    folder = run / "explanation"
    found = explain(
        generator, data.rows(rows), settings, judge=judge, data={"name": data.name}, folder=folder / "search"
    )
    write_explanation(folder, found, f"the classifier of {name}", run.name, judge, generator.temperature)
    return found


def of_tests(data: Mapping[str, Any]) -> dict[str, Any]:
    """Spec of the images that are explained: the test split of what was trained on, without a planted shortcut."""
    tests = {"split": "test"} if "split" in data else {}
    kept = {k: of_tests(v) if isinstance(v, Mapping) else v for k, v in data.items() if k != "shortcut"}
    return kept | tests


def rows(name: str, seed: int, found: Explanation) -> list[str]:
    lines = []
    for y, attributes in found.attributes.items():
        flips, chance = found.sufficiency[y], found.random[y]
        cells = [f"{name}, {seed}", found.classes[y], f"{found.checks.agreement:.1%}"]
        cells += [f"{found.checks.l1 / found.checks.l1_of_mean_image:.2f}"]
        cells += [_share(flips, k, 0) for k in TOP]
        originals = found.on_originals.get(y)
        cells += ["-" if originals is None else f"{originals:.0%}"]
        cells += [", ".join(_share(chance, k, 1) for k in TOP), f"{found.only_probabilities:.1%}"]
        lines.append("| " + " | ".join([*cells, *_moved(attributes)]) + " |")
    return lines


def _share(shares: list[float], k: int, places: int) -> str:
    """Of the decisions that k flip; that all flip, where there are fewer."""
    return f"{shares[min(k, len(shares)) - 1]:.{places}%}" if shares else "-"


def _moved(attributes: list[Any]) -> tuple[str, str]:
    """The property that the first attribute moves most, either way, and the largest drift of any other, in their
    deviations."""
    if not attributes or not attributes[0].moves:
        return "-", "-"
    first = attributes[0]
    most, worst, *_ = sorted(first.moves, key=first.drift, reverse=True)
    return f"{most} {first.moves[most]:+.2f}, either way {first.drift(most):.2f}", f"{worst} {first.drift(worst):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--searched", type=int, default=250)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/styleex"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = {
        (name, seed): explained(name, seed, args.ablation, args.searched, args.out)
        for name in args.recipes
        for seed in args.seeds
    }
    titles = (*COLUMNS, *MEASURED)
    print("| " + " | ".join(titles) + " |", "|---" * len(titles) + "|", sep="\n")
    for (name, seed), explanation in found.items():
        print(*rows(name, seed, explanation), sep="\n")
    for name in args.recipes:
        for a, b in combinations(args.seeds, 2):
            try:
                for y, told in agreement(found[name, a], found[name, b]).items():
                    towards = found[name, a].classes[y]
                    print(f"{name}, seeds {a} and {b}, {towards}: most moved {told.moved}, cosine {told.cosine:.2f}")
            except EvaluationError as reason:
                print(f"{name}, seeds {a} and {b}: {reason}")


if __name__ == "__main__":
    main()

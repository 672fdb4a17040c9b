"""Source only, plain adversarial and robust domain adaptation: digits with labels to noisy digits without.

    python -m benchmarks.domain_adaptation [--seeds 0 1 2] [--targets clothes noise clean] [--out runs/bench]
        [key=value ...]

Three in ten of the target images are clothes (noisy as the digits), or uniform noise, or none is junk. Trains every
arm, target and seed with genkit itself (what is unfinished is resumed); prints a Markdown table of accuracies on clean
target test images, which training never saw, and of how well weights and critic tell junk from digits. The robust arms
are told the true share; on the clean target, that 5 % may be junk. Source only never looks at the target: one run a
seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from benchmarks.runs import cpu_seconds, train_once
from genkit.classifiers.domain_adaptation import DomainAdaptation
from genkit.data.outlier_mixture import OutlierMixture
from genkit.images.grid import grid
from genkit.images.pixels import write_png
from genkit.training.checkpoint import load_checkpoint, newest_good
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder

ARMS = {
    "_source_only": "source only",
    "_adversarial": "adversarial",
    "_closed_form": "robust, closed form",
    "": "robust, network",
}
ALLOWED_ON_CLEAN = 0.05
IMAGES = 2000
TARGETS = {
    "clothes": ["data.target.share=0.3"],
    "noise": ["data.target.share=0.3", "data.target.junk=null"],
    "clean": ["data.target.share=0", "data.target.junk=null"],
}


def recipe_of(arm: str, target: str, seed: int, overrides: list[str]) -> Recipe:
    given = [*TARGETS[target], *overrides, f"train.seed={seed}", "train.trackers=[]"]
    if target == "clean" and arm in ("", "_closed_form"):
        given.append(f"system.weighting.outlier_share={ALLOWED_ON_CLEAN}")
    return Recipe.load(f"mnist/domain_adaptation{arm}", given)


def run(arm: str, target: str, seed: int, out: Path, overrides: list[str]) -> dict[str, float]:
    """Trains one arm unless it is finished; its figures."""
    recipe = recipe_of(arm, target, seed, overrides)
    folder = RunFolder(out / f"domain-adaptation{arm}-{target}-{seed}")
    train_once(recipe, folder)
    seconds = cpu_seconds(folder)
    figures = {"accuracy": json.loads(folder.scores.read_text())["values"]["accuracy"], "CPU seconds": seconds}
    return figures | (told_apart(recipe, folder) if target != "clean" and arm != "_source_only" else {})


@torch.no_grad()
def told_apart(recipe: Recipe, folder: RunFolder) -> dict[str, float]:
    """Of the first target images at the end of training: AUROC of weights and scores, mean weight of outliers."""
    data, trainer = prepare(recipe, Accelerator(cpu=True))
    found = newest_good(folder.checkpoints, lambda line: None)
    assert found
    load_checkpoint(trainer, found)
    system: Any = trainer.system.eval()
    assert isinstance(system, DomainAdaptation)
    mixture = Recipe.build_data(recipe_target(recipe))
    assert isinstance(mixture, OutlierMixture)
    junk, x = mixture.outliers[:IMAGES], data.target.rows(torch.arange(IMAGES))
    features = system.classifier.features(x)
    figures = {"AUROC of D": auroc(-system.critic(features), junk)}
    if system.weighting:
        weights = torch.cat([system.weights(a, b) for a, b in zip(x.split(64), features.split(64), strict=True)])
        figures |= {"AUROC of w": auroc(-weights, junk), "mean w of outliers": weights[junk].mean().item()}
    return figures


def recipe_target(recipe: Recipe) -> Recipe:
    return Recipe.from_dict({**recipe.to_dict(), "data": recipe.data["target"]})


def auroc(score: Tensor, positive: Tensor) -> float:
    """Share of pairs with the positive scored above the negative; ties count half."""
    a, b = score[positive], score[~positive]
    return ((a[:, None] > b).double() + 0.5 * (a[:, None] == b).double()).mean().item()


def table(results: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    names = ["accuracy", "AUROC of w", "mean w of outliers", "AUROC of D", "CPU seconds"]
    lines = ["| junk in the target | arm | " + " | ".join(names) + " | seeds |", "|---" * (len(names) + 3) + "|"]
    for (target, arm), runs in results.items():
        cells = [spread([figures[name] for figures in runs if name in figures]) for name in names]
        lines.append(f"| {target} | {ARMS[arm]} | " + " | ".join(cells) + f" | {len(runs)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[tuple[str, str], list[dict[str, float]]] = {(t, a): [] for t in given.targets for a in ARMS}
    for seed in given.seeds:
        for target in given.targets:
            for arm in ARMS:
                seen = given.targets[0] if arm == "_source_only" else target
                results[target, arm].append(run(arm, seen, seed, given.out, given.overrides))
                print(arm or "_network", target, seed, rounded(results[target, arm][-1]), flush=True)
    print(table(results))
    print(f"the domains: {draw(given.out)}")


def draw(out: Path) -> Path:
    """Two rows of the source, and two of the target with clothes among them."""
    data: Any = recipe_of("", "clothes", 0, []).build_data()
    first = torch.arange(32)
    images = torch.cat([data.rows(first), data.target.rows(first)])
    write_png(out / "domains.png", grid(images.repeat_interleave(3, -1).repeat_interleave(3, -2), 16))
    return out / "domains.png"


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}


if __name__ == "__main__":
    main()

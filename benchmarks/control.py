"""GAN-Control on data whose factors are known: what it does when asked, and beside the GAN without controls.

    python -m benchmarks.control control shapes|coloured_fashion_mnist [--seeds 0 1] [-n 2000]
    python -m benchmarks.control plain   shapes|coloured_fashion_mnist [--seeds 0 1] [-n 5000]
    python -m benchmarks.control picture shapes|coloured_fashion_mnist [--seeds 0]

Trains recipes/DATA/judge once, recipes/DATA/gan_control with each seed and, for `plain`, the same GAN without split
latent and contrastive terms as long; what is unfinished is resumed, and what was measured is kept in --out. `control`
prints errors by the judge, drift and shares of classes, a row a seed; `plain` the Frechet distances of both GANs to the
test images, in features of efficientnet-lite0 and of the judge; `picture` writes a strip an attribute.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.runs import kept, train_once
from genkit.classifiers.attribute_predictor import AttributePredictor
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.evaluation import evaluate
from genkit.evaluation.control import control_scores
from genkit.gan.control.controlled import Controlled, spread
from genkit.images.grid import grid
from genkit.images.pixels import to_uint8, write_png
from genkit.training import train
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from genkit.training.staged import StagedRecipe, load_recipe

BATCH = 250
STRIPS, STEPS = 4, 9
"""Rows and columns of a strip."""

Spec = dict[str, Any]


class JudgeFeatures(nn.Module):
    """What a judge's heads are linear in."""

    def __init__(self, judge: AttributePredictor):
        super().__init__()
        self.judge = judge

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.judge.feature(self.judge.trunk(x)).relu()
        return features


class Bench:
    def __init__(self, given: argparse.Namespace):
        self.data, self.seeds, self.out, self.n = given.data, given.seeds, given.out, given.n
        self.test = {"type": self.data, "split": "test"}

    @cached_property
    def judge(self) -> AttributePredictor:
        folder = RunFolder(self.out / f"{self.data}-judge")
        train_once(Recipe.load(f"{self.data}/judge"), folder)
        return Pretrained.from_pretrained(folder.path)  # type: ignore[return-value]

    def run(self, seed: int) -> Path:
        """A run of GAN-Control, finished."""
        changes = [f"stages.{stage}.train.seed={seed}" for stage in ("gan", "control")]
        return train(load_recipe(f"{self.data}/gan_control", changes), self.out / f"{self.data}-{seed}", resume=True)

    def controlled(self, seed: int) -> Controlled:
        return Controlled.from_pretrained(self.run(seed) / "control")

    def plain(self, seed: int) -> Generator:
        """The GAN of the same recipe without what GAN-Control adds, trained as long."""
        recipe = load_recipe(f"{self.data}/gan_control", [f"stages.gan.train.seed={seed}"])
        assert isinstance(recipe, StagedRecipe)
        tree = recipe.trainings["gan"].to_dict()
        network, system = tree["system"]["generator"]["network"], tree["system"]
        del network["split"], network["mid"], system["rule"]
        system["penalties"] = [term for term in system["penalties"] if term["type"] in ("r1", "path_length")]
        folder = RunFolder(self.out / f"{self.data}-plain-{seed}")
        train_once(Recipe.from_dict({**tree, "name": f"{self.data}-plain"}), folder)
        return Generator.from_pretrained(folder.path)

    def kept(self, name: str, measure: Callable[[], Spec]) -> Spec:
        return kept(self.out / f"{self.data}-{name}-{self.n}.json", measure)


def control(bench: Bench) -> None:
    kinds = ("real", "own", "nearest", "chance", "judge")
    print(f"| attribute, seed | unit | {' | '.join(kinds)} | drift of others | disentanglement | diversity |")
    print("|---" * (len(kinds) + 5) + "|")
    for seed in bench.seeds:
        found = bench.kept(f"control-{seed}", lambda s=seed: scored(bench, s))  # type: ignore[misc]
        for name, scores in found["attributes"].items():
            errors = [f"{scores['errors'][kind]['value']:.2f}" if kind in scores["errors"] else "-" for kind in kinds]
            drift = ", ".join(f"{other} {value:.3f}" for other, value in scores["drift"].items())
            rest = f"{scores['disentanglement']:.1f} | {scores['diversity']:.2f}"
            print(f"| {name}, {seed} | {scores['unit']} | {' | '.join(errors)} | {drift} | {rest} |")
        for name, scores in found["attributes"].items():
            for value, (real, made) in scores["classes"].items():
                print(f"  seed {seed}: {name} {value}: {100 * real:.1f} % of real, {100 * made:.1f} % of made images")


def scored(bench: Bench, seed: int) -> Spec:
    return control_scores(bench.controlled(seed), bench.judge, bench.test, bench.n).to_json()


def plain(bench: Bench) -> None:
    print("| seed | extractor | FD controlled | FD plain | ratio |\n|---|---|---|---|---|")
    for seed in bench.seeds:
        mine = bench.kept(f"fd-{seed}", lambda s=seed: distances(bench, bench.controlled(s)))  # type: ignore[misc]
        other = bench.kept(f"fd-plain-{seed}", lambda s=seed: distances(bench, bench.plain(s)))  # type: ignore[misc]
        for name in mine:
            print(f"| {seed} | {name} | {mine[name]:.2f} | {other[name]:.2f} | {mine[name] / other[name]:.2f} |")


def distances(bench: Bench, generator: Generator) -> Spec:
    rng = torch.Generator().manual_seed(12345)
    x = torch.cat([to_uint8(part) for part in generator.stream(bench.n, BATCH, rng=rng)])
    extractors = {"efficientnet-lite0": "efficientnet-lite0", "judge": JudgeFeatures(bench.judge)}
    return {k: evaluate(x, bench.test, metrics=["fd"], n=bench.n, extractor=e)["fd"] for k, e in extractors.items()}


def picture(bench: Bench) -> None:
    """A strip an attribute: a row an image, from its lowest value to its highest."""
    for seed in bench.seeds:
        generator = bench.controlled(seed)
        for name, column in generator.conditions.items():
            rows = generator.sweep(name, spread(column, STEPS), STRIPS, torch.Generator().manual_seed(seed))
            path = bench.out / f"{bench.data}-{name}-{seed}.png"
            write_png(path, grid(to_uint8(rows).flatten(0, 1), rows.shape[1]))
            print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["control", "plain", "picture"])
    parser.add_argument("data", choices=["shapes", "coloured_fashion_mnist"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--out", type=Path, default=Path("runs/bench/control"))
    parser.add_argument("-n", type=int)
    given = parser.parse_args()
    given.n = given.n or {"control": 2000, "plain": 5000}.get(given.what, 0)
    torch.set_num_threads(1)
    {"control": control, "plain": plain, "picture": picture}[given.what](Bench(given))


if __name__ == "__main__":
    main()

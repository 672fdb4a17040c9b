"""Robust optimal transport against junk in the data: plain WGAN-GP, a weight network W, closed-form weights.

    GENKIT_DATA=... python -m benchmarks.robust_ot train [--only noise-25] [--seeds 0 1 2] [--out runs/robust]
    python -m benchmarks.robust_ot report [--out runs/robust]
    python -m benchmarks.robust_ot points | picture [--out runs/robust]

`train` is resumed where it stopped; its cases come in the order of their importance. Fashion-MNIST at 14 pixels, equal
networks and equal critic and generator steps in every arm; the radius is that of the true share e, e / (2 (1 - e)), and
0.025 for clean data.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import genkit
from benchmarks.domain_adaptation import auroc
from benchmarks.robust_ot_points import points
from benchmarks.runs import cpu_seconds, train_once
from genkit.core.chi_square import closed_form, normalised
from genkit.core.generator import Generator
from genkit.core.pretrained import Pretrained
from genkit.data.dataset import DataSet
from genkit.data.outlier_mixture import OutlierMixture
from genkit.data.torchvision_sets import fashion_mnist, mnist
from genkit.images.grid import grid
from genkit.images.pixels import from_uint8, to_uint8, write_png
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder
from genkit.training.start import trained_system

SIZE = 14
CLEAN_RHO = 0.025
ARMS = {"plain": "wgan_gp", "network": "robust_wgan", "closed": "robust_wgan_closed_form"}
TITLES = {"plain": "WGAN-GP", "network": "+ weight network", "closed": "+ closed form"}
SETTINGS = [
    "system.generator.network={type: dcgan_generator, latent_dim: 64, size: 14, channels: 1, width: 16}",
    "system.critic={type: dcgan_critic, size: 14, channels: 1, width: 16}",
    "system.critic_steps=5",
    "system.rule={type: ascent, steps: 1}",
    "train.batch_size=64",
    "train.ema=0.98",
    "train.trackers=[]",
    "every={log: 10, grid: 0, checkpoint: 100, keep: 1}",
    "evaluate=null",
]
ADAM = "{type: adam, lr: 1e-3, betas: [0.5, 0.9]}"
START = 400
"""Critic steps before the weights begin."""


@dataclass(frozen=True)
class Case:
    """One run: kind of junk, its share, arm and seed."""

    junk: str
    percent: int
    arm: str
    seed: int
    steps: int = 400

    @property
    def group(self) -> str:
        return f"{self.junk}-{self.percent}"

    @property
    def name(self) -> str:
        return f"{self.group}-{self.arm}-{self.seed}"

    @property
    def rho(self) -> float:
        share = self.percent / 100
        return share / (2 * (1 - share)) if share else CLEAN_RHO

    def data(self) -> dict[str, Any]:
        clean = {"type": "fashion_mnist", "split": "train", "size": SIZE}
        if not self.percent:
            return clean
        junk = {"junk": {"type": "mnist", "split": "train", "size": SIZE}} if self.junk == "digits" else {}
        return {"type": "outlier_mixture", "data": clean, "share": self.percent / 100, **junk}

    def recipe(self) -> Recipe:
        weights = ["weights"] if self.arm == "network" else []
        given = [*SETTINGS, *(f"optimizers.{name}={ADAM}" for name in ("critic", "generator", *weights))]
        given += [f"data={json.dumps(self.data())}", f"train.seed={self.seed}", f"train.steps={self.steps}"]
        if self.arm != "plain":
            given.append(f"system.real_weighting={json.dumps(self.weighting())}")
        return Recipe.load(f"fashion_mnist/{ARMS[self.arm]}", given)

    def weighting(self) -> dict[str, Any]:
        if self.arm == "closed":
            return {"type": "closed_form_weights", "rho": self.rho, "start": START}
        network = {"type": "weight_network", "size": SIZE, "channels": 1, "width": 8}
        return {"type": "robust_weights", "network": network, "rho": self.rho, "every": 1, "start": START}


def cases(steps: int = 400) -> list[Case]:
    """Most important first; `steps` iterations of five critic steps."""
    first, more = (
        [(25, 0), (0, 0), (25, 1), (25, 2), (0, 1), (0, 2), (10, 0), (5, 0)],
        [(10, 1), (5, 1), (10, 2), (5, 2)],
    )
    wanted = [Case("noise", percent, arm, seed, steps) for percent, seed in first for arm in ARMS]
    wanted += [Case("digits", 10, arm, 0, steps) for arm in ("plain", "closed")]
    return wanted + [Case("noise", percent, arm, seed, steps) for percent, seed in more for arm in ARMS]


def judge_classes(seed: int = 0) -> DataSet:
    """20,000 clothes, 10,000 digits, 20,000 images of uniform noise, half of these drawn coarser and enlarged.

    A generator's noise is smoother than true noise, and should be told as well.
    """
    rng = torch.Generator().manual_seed(seed)
    clothes, digits = fashion_mnist("train", size=SIZE).x, mnist("train", size=SIZE).x
    fine = torch.randint(0, 256, (10_000, 1, SIZE, SIZE), generator=rng, dtype=torch.uint8)
    parts = [_some(clothes, 20_000, rng), _some(digits, 10_000, rng), fine, *_coarse(rng)]
    labels = [torch.full((len(part),), min(i, 2)) for i, part in enumerate(parts)]
    return DataSet("clothes, digits and noise", torch.cat(parts), torch.cat(labels), CLASSES)


CLASSES = ("clothes", "digit", "noise")


def _some(x: Tensor, n: int, rng: torch.Generator) -> Tensor:
    return x[torch.randperm(len(x), generator=rng)[:n]]


def _coarse(rng: torch.Generator) -> Iterator[Tensor]:
    for side in range(4, SIZE):
        small = 255 * torch.rand(1000, 1, side, side, generator=rng)
        large = torch.nn.functional.interpolate(small, size=SIZE, mode="bilinear", align_corners=False)
        yield large.round().to(torch.uint8)


genkit.register("data", "robust_ot_judge_classes", "benchmarks.robust_ot:judge_classes")


def judge(out: Path) -> Any:
    """The classifier that knows the outliers, trained by genkit unless it is there."""
    network = {"type": "classifier", "size": SIZE, "channels": 1, "classes": 3, "width": 16, "class_names": CLASSES}
    recipe = Recipe.load(
        "mnist/classifier",
        [
            "data={type: robust_ot_judge_classes}",
            f"system.classifier={json.dumps(network)}",
            "train.steps=500",
            "train.ema=0.99",
            "train.trackers=[]",
            "name=robust-ot-judge",
        ],
    )
    folder = RunFolder(out / "judge")
    train_once(recipe, folder)
    return Pretrained.from_pretrained(folder.weights)


def shares(classifier: Any, images: Tensor) -> dict[str, float]:
    """Of uint8 images (N, 1, 14, 14), by class."""
    with torch.no_grad():
        found = torch.cat([classifier(from_uint8(part)).argmax(1) for part in images.split(500)])
    return {name: float((found == i).double().mean()) for i, name in enumerate(CLASSES)}


def run(case: Case, out: Path) -> dict[str, float]:
    """Trains a case unless it is finished; its figures."""
    recipe, folder = case.recipe(), RunFolder(out / case.name)
    train_once(recipe, folder)
    kept = folder.path / "figures.json"
    if not kept.is_file():
        kept.write_text(json.dumps(figures(case, recipe, folder, out), indent=1))
    found: dict[str, float] = json.loads(kept.read_text())
    return found


def figures(case: Case, recipe: Recipe, folder: RunFolder, out: Path) -> dict[str, float]:
    generator = Generator.from_pretrained(folder.weights)
    images = to_uint8(generator.sample(5000, rng=torch.Generator().manual_seed(1)))
    test = {"type": "fashion_mnist", "split": "test", "size": SIZE}
    scores = genkit.evaluate(images, test, metrics=["fd"], n=5000, extractor="fashion-mnist-classifier")
    seconds = cpu_seconds(folder)
    steps = recipe.train.steps * recipe.system["critic_steps"]
    found = {"FD": scores["fd"], "ms a critic step": 1000 * seconds / steps}
    found |= {f"{name} share": share for name, share in shares(judge(out), images).items()}
    write_png(folder.path / "grid.png", grid(from_uint8(images[:64]), 8))
    return found | suspicion_figures(case, recipe, folder)


def suspicion_figures(case: Case, recipe: Recipe, folder: RunFolder) -> dict[str, float]:
    """AUROC of what the run thinks of its training images against which of them are junk."""
    data = recipe.build_data()
    if not isinstance(data, OutlierMixture):
        return {}
    _, system = trained_system(folder.path)
    with torch.no_grad():
        parts = [data.rows(index) for index in torch.arange(len(data)).split(1000)]
        score = torch.cat([system.score(x, {}) for x in parts])
        weight = closed_form(score, case.rho)
        if case.arm == "network":
            weight = normalised(torch.cat([system.real_weighting.raw(x) for x in parts]))
    truth = data.outliers
    return {
        "AUROC critic": auroc(score, truth),
        "AUROC weights": auroc(-weight, truth),
        "weight of junk": float(weight[truth].mean()),
        "weight of clean": float(weight[~truth].mean()),
    }


def picture(out: Path) -> Path:
    """Training data with 25 % noise, and samples of two arms, seed 0, side by side."""
    data = next(case for case in cases() if case.group == "noise-25").recipe().build_data()
    seen = [data.x[:64]]
    for arm in ("plain", "closed"):
        generator = Generator.from_pretrained(out / f"noise-25-{arm}-0" / "weights")
        seen.append(to_uint8(generator.sample(64, rng=torch.Generator().manual_seed(1))))
    panels = [grid(x.repeat_interleave(2, 2).repeat_interleave(2, 3), 8) for x in seen]
    gap = panels[0].new_full((1, panels[0].shape[1], 16), 255)
    write_png(out / "robust-ot-samples.png", torch.cat([panels[0], gap, panels[1], gap, panels[2]], 2))
    return out / "robust-ot-samples.png"


def report(out: Path) -> str:
    """A table for every kind and share of junk: means and standard deviations over the seeds that are there."""
    lines = []
    for group in dict.fromkeys(case.group for case in cases()):
        found = {arm: kept_figures(out, [c for c in cases() if (c.group, c.arm) == (group, arm)]) for arm in ARMS}
        found = {arm: kept for arm, kept in found.items() if kept}
        if found:
            lines += [f"{group}, seeds: {', '.join(str(len(kept)) for kept in found.values())}", "", *table(found), ""]
    return "\n".join(lines)


def kept_figures(out: Path, wanted: list[Case]) -> list[dict[str, float]]:
    paths = [out / case.name / "figures.json" for case in wanted]
    return [json.loads(path.read_text()) for path in paths if path.is_file()]


def table(found: dict[str, list[dict[str, float]]]) -> list[str]:
    names = list(dict.fromkeys(name for kept in found.values() for figures in kept for name in figures))
    lines = ["| | " + " | ".join(TITLES[arm] for arm in found) + " |", "|---" * (len(found) + 1) + "|"]
    for name in names:
        cells = [spread([figures[name] for figures in kept if name in figures]) for kept in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    ratios = [f"{statistics.mean(fds(kept)) / statistics.mean(fds(found['plain'])):.2f}" for kept in found.values()]
    return [*lines, "| FD / FD of WGAN-GP | " + " | ".join(ratios) + " |"]


def fds(kept: list[dict[str, float]]) -> list[float]:
    return [figures["FD"] for figures in kept]


def spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values) if len(values) > 1 else 0:.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "report", "points", "picture"])
    parser.add_argument("--only", default="", help="cases whose name starts with this, such as noise-25-closed")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400, help="iterations; another number wants another --out")
    parser.add_argument("--out", type=Path, default=Path("runs/robust"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.what == "points":
        return print(points(given.out / "robust-ot-coupling.png"))
    if given.what == "picture":
        return print(picture(given.out))
    wanted = [case for case in cases(given.steps) if case.name.startswith(given.only) and case.seed in given.seeds]
    for case in wanted if given.what == "train" else []:
        print(case.name, {k: round(v, 4) for k, v in run(case, given.out).items()}, flush=True)
    print(report(given.out))


if __name__ == "__main__":
    main()

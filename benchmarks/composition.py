"""Any technique over any pair: {DCGAN, ResNet, TransGAN} x {plain, ratio clipping, robust}, a small equal budget each.

    python -m benchmarks.composition [train.steps=300] [--out runs/bench] [--seed 0]

Fashion-MNIST at 16 pixels. Every cell has two critic and two generator steps an iteration, batches of 32 and a gradient
penalty; ratio clipping has its classifier's steps beside. What is unfinished is resumed. Prints a Markdown table of FD
to the test set, on the features of the classifier that `benchmarks.transgan` trains. The budget is far too small
to rank anything: what counts is that every cell trains.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.runs import cpu_seconds, train_once
from benchmarks.transgan import CLOTHES, extracted, judge, real_features
from genkit.core.generator import Generator
from genkit.evaluation.functional.frechet import frechet_distance_from_features
from genkit.images.pixels import to_uint8
from genkit.training.log import read_metrics
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder

Spec = dict[str, Any]

SHAPE: Spec = {"size": 16, "channels": 1}
CONVOLUTIONAL: Spec = {"type": "adam", "lr": 1e-3, "betas": [0.5, 0.9]}
PAIRS: dict[str, tuple[Spec, Spec, Spec]] = {
    "DCGAN": (
        {"type": "dcgan_generator", "width": 32},
        {"type": "dcgan_critic", "width": 32},
        CONVOLUTIONAL,
    ),
    "ResNet": (
        {"type": "resnet_generator", "width": 32},
        {"type": "resnet_critic", "width": 32},
        {**CONVOLUTIONAL, "lr": 5e-4},
    ),
    "TransGAN": (
        {"type": "transgan_generator", "width": 64, "depths": [2, 1, 1]},
        {"type": "transgan_critic", "patch": 4, "width": 64, "depth": 2},
        {"type": "adam", "lr": 5e-4, "betas": [0.0, 0.99], "clip_norm": 5},
    ),
}
WAYS = ("plain", "ratio clipping", "robust")


def slots(way: str, critic: Spec) -> Spec:
    clipping = {"type": "ratio_clipping", "classifier": critic, "steps": 2}
    return {
        "plain": {"rule": {"type": "ascent", "steps": 2}},
        "ratio clipping": {"rule": clipping, "fake_weighting": {"type": "softmax_weighting"}},
        "robust": {
            "rule": {"type": "ascent", "steps": 2},
            "real_weighting": {"type": "closed_form_weights", "outlier_share": 0.05},
        },
    }[way]


def recipe_of(pair: str, way: str, seed: int, overrides: list[str]) -> Recipe:
    network, critic, step = PAIRS[pair]
    critic = critic | SHAPE
    system = {
        "type": "gan_training",
        "generator": {"type": "gan", "network": network | SHAPE | {"latent_dim": 64}},
        "critic": critic,
        "critic_steps": 2,
        "penalties": [{"type": "gradient_penalty", "weight": 10}],
        **slots(way, critic),
    }
    learners = ["critic", "generator", *(["classifier"] if way == "ratio clipping" else [])]
    rates = {name: {**step, "lr": step["lr"] / (5 if name == "classifier" else 1)} for name in learners}
    given = {
        "data": {**CLOTHES, "split": "train"},
        "system": system,
        "optimizers": rates,
        "train": {"steps": 300, "batch_size": 32, "seed": seed, "ema": 0.98, "threads": 1, "trackers": []},
        "every": {"log": 10, "grid": 0, "checkpoint": 100},
        "evaluate": None,
    }
    own = [f"{key}={json.dumps(value)}" for key, value in given.items()]
    return Recipe.load("fashion_mnist/transgan", [*own, *overrides])


def cell(pair: str, way: str, seed: int, out: Path, overrides: list[str]) -> dict[str, float]:
    """FD, CPU ms an iteration, and whether every logged term was finite."""
    recipe = recipe_of(pair, way, seed, overrides)
    folder = RunFolder(out / f"composition-{pair}-{way.replace(' ', '-')}-{seed}")
    done = folder.path / "figures.json"
    train_once(recipe, folder)
    if not done.exists():
        extractor = judge(out)
        x = Generator.from_pretrained(folder.weights).sample(5000, rng=torch.Generator().manual_seed(seed))
        fd = frechet_distance_from_features(real_features(extractor), extracted(extractor, to_uint8(x)))
        rows = [value for row in read_metrics(folder.metrics) for value in row.values()]
        finite = all(abs(value) < float("inf") for value in rows)
        cost = 1000 * cpu_seconds(folder) / recipe.train.steps
        done.write_text(json.dumps({"FD": fd, "ms": cost, "finite": finite}))
    found: dict[str, float] = json.loads(done.read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("overrides", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = ["| | " + " | ".join(WAYS) + " |", "|---" * (len(WAYS) + 1) + "|"]
    for pair in PAIRS:
        cells = [cell(pair, way, given.seed, given.out, given.overrides) for way in WAYS]
        print(pair, cells, flush=True)
        lines.append(f"| {pair} | " + " | ".join(f"{c['FD']:.2f} ({c['ms']:.0f} ms)" for c in cells) + " |")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""TransGAN on 2,000 images of 16 pixels: augmentation, co-training, locality; and the time of a step.

    python -m benchmarks.transgan train [key=value ...] [--arms B C D E] [--seeds 0] [--out runs/bench]
    python -m benchmarks.transgan report [--out runs/bench]
    python -m benchmarks.transgan step_time [16 32]

`train` trains every arm and seed with genkit itself (what is unfinished is resumed), then scores every checkpoint. The
judge is a small classifier of 16-pixel clothes, trained first on all 60,000. `report` prints the table of all that is
there and draws the curves to <out>/transgan.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from benchmarks import transgan_step_time as step_time
from benchmarks.runs import train_once
from genkit.core.catalog import build
from genkit.evaluation.extractors.choice import extractor_for
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.functional.frechet import frechet_distance_from_features
from genkit.gan.gan import GANTraining
from genkit.images.pixels import to_uint8
from genkit.training.checkpoint import complete, load_checkpoint
from genkit.training.preparation import prepare
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder

ARMS = {
    "B": "plain",
    "C": "+ DiffAugment",
    "D": "+ DiffAugment + co-training",
    "E": "+ DiffAugment + locality",
}
SAMPLES, CHECKPOINTS = 2500, 8
CLOTHES = {"type": "fashion_mnist", "size": 16, "labels": False}
WIDTHS, UNTIL = [2, 3, 4, 6], [0.12, 0.24, 0.36, 0.48]


def recipe_of(arm: str, seed: int, overrides: list[str]) -> Recipe:
    steps = next((int(o.partition("=")[2]) for o in overrides if o.startswith("train.steps=")), 1100)
    mask = {"type": "locality_mask", "widths": WIDTHS, "until": [round(steps * share) for share in UNTIL]}
    given = {
        "data": {"type": "part", "data": {**CLOTHES, "split": "train"}, "stop": 2000},
        "system.schedules": [mask] if arm == "E" else [],
        "every": {"log": 10, "grid": 0, "checkpoint": steps // CHECKPOINTS, "keep": CHECKPOINTS + 1},
        "evaluate": None,
        "optimizers.critic.lr": 1e-3,
        "optimizers.generator.lr": 1e-3,
        "train.steps": steps,
        "train.seed": seed,
        "train.trackers": [],
    }
    given |= {"system.view": None} if arm == "B" else {}
    given |= {} if arm == "D" else {"system.cotasks": []}
    own = [f"{key}={json.dumps(value)}" for key, value in given.items()]
    return Recipe.load("fashion_mnist/transgan", [*own, *overrides])


def run(arm: str, seed: int, out: Path, overrides: list[str]) -> list[dict[str, float]]:
    """Trains one arm with one seed and scores its checkpoints, unless that is done; one row a checkpoint."""
    recipe, folder = recipe_of(arm, seed, overrides), RunFolder(out / f"transgan-{arm}-{seed}")
    train_once(recipe, folder)
    done = folder.path / "figures.json"
    if not done.exists():
        done.write_text(json.dumps(figures(recipe, folder, judge(out)), indent=1))
    return json.loads(done.read_text())


def judge(out: Path) -> Extractor:
    folder = RunFolder(out / "classifier-16")
    overrides = ["data.size=16", "system.classifier.size=16", "train.steps=2000", "train.threads=1"]
    recipe = Recipe.load("fashion_mnist/classifier", [*overrides, "train.trackers=[]"])
    train_once(recipe, folder)
    return extractor_for(str(folder.weights))


@cache
def images(split: str) -> Tensor:
    return build({**CLOTHES, "split": split}).x


@cache
def real_features(extractor: Extractor) -> Tensor:
    return extracted(extractor, images("test"))


def extracted(extractor: Extractor, x: Tensor) -> Tensor:
    return torch.cat([extractor(part).features for part in x.split(500)])


def figures(recipe: Recipe, folder: RunFolder, extractor: Extractor) -> list[dict[str, float]]:
    data, trainer = prepare(recipe, Accelerator(cpu=True))
    system: Any = trainer.system
    rows = []
    for path in complete(folder.checkpoints):
        load_checkpoint(trainer, path)
        for schedule in system.schedules:
            schedule.apply(system, trainer.step - 1)
        with torch.no_grad():
            x = trainer.ema.module.sample(SAMPLES, rng=torch.Generator().manual_seed(recipe.train.seed))
            fd = frechet_distance_from_features(real_features(extractor), extracted(extractor, to_uint8(x)))
            raw = system.generator.sample(1000, rng=torch.Generator().manual_seed(0))
            row = {
                "step": trainer.step,
                "FD": fd,
                **gap(system, data.rows(torch.arange(len(data))), x),
                "neighbours": neighbours(raw),
            }
            row |= super_resolution(trainer.ema.module.network) if recipe.to_dict()["system"]["cotasks"] else {}
        rows.append(row)
        print(folder.path.name, {k: round(v, 4) for k, v in row.items()}, flush=True)
    return rows


def gap(system: GANTraining, train: Tensor, fake: Tensor) -> dict[str, float]:
    """mean D(train) - mean D(held-out) of images as they are; also over the standard deviation on held-out ones.

    With augmentation D(real) - D(fake) may be negative: the critic has learned to score augmented images.
    """
    seen, held, made = (scores(system, x) for x in (train, real("test"), fake))
    raw = (seen.mean() - held.mean()).item()
    return {"gap": raw, "gap/sd": raw / held.std().item(), "D(real)-D(fake)": (seen.mean() - made.mean()).item()}


def scores(system: GANTraining, x: Tensor) -> Tensor:
    return torch.cat([system.critic(part) for part in x.split(500)])


@cache
def real(split: str) -> Tensor:
    return images(split).float() / 127.5 - 1


def neighbours(x: Tensor) -> float:
    """Correlation over samples of horizontally and vertically neighbouring pixels, less each pixel's mean."""
    x = x - x.mean(0)
    pairs = [(x[..., 1:, :], x[..., :-1, :]), (x[..., 1:], x[..., :-1])]
    both = [torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] for a, b in pairs]
    return torch.stack(both).mean().item()


def super_resolution(network: Any) -> dict[str, float]:
    x = real("test")
    low = F.adaptive_avg_pool2d(x, network.low_size)
    made = torch.cat([network.from_low_res(part) for part in low.split(250)]).clamp(-1, 1)
    plain = F.interpolate(low, x.shape[-2:], mode="bilinear")
    return {"MSE": F.mse_loss(made, x).item(), "bilinear MSE": F.mse_loss(plain, x).item()}


def report(out: Path) -> str:
    """A Markdown table, a column an arm: mean and standard deviation over the seeds that are there."""
    found = {arm: [json.loads(p.read_text()) for p in runs_of(arm, out)] for arm in ARMS}
    found = {arm: runs for arm, runs in found.items() if runs}
    lines = ["| | " + " | ".join(f"{a}: {ARMS[a]} ({len(r)})" for a, r in found.items()) + " |"]
    lines.append("|---" * (len(found) + 1) + "|")
    rows = {"FD, last": ("FD", -1), "FD, best checkpoint": ("FD", None)}
    rows |= {f"{name}, last": (name, -1) for name in ("gap", "gap/sd", "MSE", "bilinear MSE")}
    rows |= {
        "neighbours, a third through": ("neighbours", CHECKPOINTS // 3 - 1),
        "neighbours, last": ("neighbours", -1),
    }
    for title, (name, at) in rows.items():
        cells = [spread([value(run, name, at) for run in runs if name in run[-1]]) for runs in found.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines.append(f"\nneighbours in the test images: {neighbours(real('test')):.4f}")
    return "\n".join(lines)


def runs_of(arm: str, out: Path) -> list[Path]:
    return sorted(out.glob(f"transgan-{arm}-*/figures.json"))


def value(run: list[dict[str, float]], name: str, at: int | None) -> float:
    return min(row[name] for row in run) if at is None else run[at][name]


def spread(values: list[float]) -> str:
    if not values:
        return ""
    return f"{statistics.mean(values):.4g}" + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else "")


def draw(out: Path) -> Path:
    """FD and gap by iteration, a line a run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = {"FD": "FD to the test set", "gap": "mean D(train) - mean D(held-out)", "gap/sd": "the same in sd of D"}
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.4))
    for colour, arm in zip(("#777777", "#1f77b4", "#d62728", "#2ca02c"), ARMS, strict=True):
        for i, path in enumerate(runs_of(arm, out)):
            rows = json.loads(path.read_text())
            for axis, key in zip(axes, panels, strict=True):
                label = f"{arm}: {ARMS[arm]}" if i == 0 else None
                axis.plot([r["step"] for r in rows], [r[key] for r in rows], color=colour, lw=1, label=label)
    for axis, title in zip(axes, panels.values(), strict=True):
        axis.set(title=title, xlabel="iteration", **({"ylim": (0, None)} if title == panels["FD"] else {}))
        axis.legend(fontsize=7)
    path = out / "transgan.png"
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "report", "step_time"])
    parser.add_argument("overrides", nargs="*", default=[])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "step_time":
        step_time.main([int(size) for size in given.overrides] or [16, 32])
        return
    if given.what == "train":
        judge(given.out)
        for seed in given.seeds:
            for arm in given.arms:
                run(arm, seed, given.out, given.overrides)
    print(report(given.out))
    print(f"curves: {draw(given.out)}")


if __name__ == "__main__":
    main()

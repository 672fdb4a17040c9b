"""WGAN-GP against + re-weighting against + re-weighting and clipping: equal networks, equal critic and generator steps.

On points the non-saturating pair of points/gan stands beside them, with networks and steps of its own.

    python -m benchmarks.ratio_clipping points|fashion_mnist [--seeds 0 1 2] [--out runs/bench] [key=value ...]

Trains every arm and seed with genkit itself (what is unfinished is resumed), prints a Markdown table of means and
standard deviations over seeds, and draws the diagnostics of the method to <out>/<data>-ratio-clipping.png and, of
points, what the arms have made of the first seed to <out>/points-samples.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch

from benchmarks.runs import cpu_seconds, train_once
from genkit.core.generator import Generator
from genkit.data.points import gaussians25
from genkit.training.log import read_metrics
from genkit.training.recipe import Recipe
from genkit.training.run_folder import RunFolder

ARMS = {"wgan_gp": "WGAN-GP", "wgan_reweighted": "+ re-weighting", "wgan_ratio_clipping": "+ re-weighting + clipping"}
BESIDE = {"gan": "non-saturating"}
COLOURS = ("#777777", "#1f77b4", "#d62728", "#2ca02c")
SMOOTHING = 101


def run(data: str, arm: str, seed: int, out: Path, overrides: list[str]) -> dict[str, float]:
    """Trains one arm with one seed unless it is finished; its figures."""
    recipe = Recipe.load(f"{data}/{arm}", [*overrides, f"train.seed={seed}", "train.trackers=[]"])
    folder = RunFolder(out / f"{data}-{arm}-{seed}")
    train_once(recipe, folder)
    return {**training_figures(folder, recipe), **sample_figures(folder), "CPU seconds": cpu_seconds(folder)}


def arms(data: str) -> dict[str, str]:
    """Recipe -> title."""
    return ARMS | (BESIDE if data == "points" else {})


def training_figures(folder: RunFolder, recipe: Recipe) -> dict[str, float]:
    rows = [row for row in read_metrics(folder.metrics) if "critic/loss" in row]
    half = rows[len(rows) // 2 :]
    loss = np.array([row["critic/loss"] for row in rows])
    trend = np.convolve(np.pad(loss, SMOOTHING // 2, mode="edge"), np.ones(SMOOTHING) / SMOOTHING, mode="valid")
    norms = np.array([row["critic/gradient_norm"] for row in half])
    seconds = cpu_seconds(folder)
    figures = {
        "critic loss sd": float((loss - trend)[len(rows) // 2 :].std()),
        "gradient norm sd/mean": float(norms.std() / norms.mean()),
        "gradient norm mean": float(norms.mean()),
        "CPU ms/iteration": 1000 * seconds / recipe.train.steps,
    }
    for name, key in (("ESS share", "critic/effective_sample_size"), ("clipped share", "generator/clipped")):
        values = [row[key] for row in half if key in row]
        scale = recipe.train.batch_size if name == "ESS share" else 1
        figures[name] = statistics.mean(values) / scale if values else float("nan")
    return figures


def sample_figures(folder: RunFolder) -> dict[str, float]:
    values = json.loads(folder.scores.read_text())["values"]
    return {k: float(v) for k, v in values.items() if isinstance(v, (int, float))}


def table(results: dict[str, list[dict[str, float]]]) -> str:
    names = list(dict.fromkeys(name for runs in results.values() for figures in runs for name in figures))
    lines = ["| | " + " | ".join(arms("points")[arm] for arm in results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in names:
        cells = [spread([figures[name] for figures in runs if name in figures]) for runs in results.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    if not values or any(v != v for v in values):
        return "-"
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values) if len(values) > 1 else 0:.2g}"


def draw(data: str, seeds: list[int], out: Path) -> Path:
    """Effective sample size, share of clipped ratios and the critic's gradient norm, every arm and seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    panels = {
        "critic/effective_sample_size": "effective sample size",
        "generator/clipped": "share of |r - 1| > clip",
        "critic/gradient_norm": "critic's gradient norm",
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.4))
    for colour, (arm, title) in zip(COLOURS, arms(data).items(), strict=False):
        for seed in seeds:
            rows = read_metrics(RunFolder(out / f"{data}-{arm}-{seed}").metrics)
            for axis, key in zip(axes, panels, strict=True):
                points = [(row["step"], row[key]) for row in rows if key in row][::5]
                if points:
                    axis.plot(
                        *zip(*points, strict=True), color=colour, lw=0.6, label=title if seed == seeds[0] else None
                    )
    for axis, name in zip(axes, panels.values(), strict=True):
        axis.set(title=name, xlabel="iteration")
        axis.legend(fontsize=7)
    path = out / f"{data}-ratio-clipping.png"
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    return path


def draw_points(seed: int, out: Path) -> Path:
    """The data, and as many samples of every arm."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = {"data": gaussians25(n=2000).x}
    for arm, title in arms("points").items():
        generator = Generator.from_pretrained(out / f"points-{arm}-{seed}")
        shown[title] = generator.sample(2000, rng=torch.Generator().manual_seed(0))
    figure, axes = plt.subplots(1, len(shown), figsize=(3 * len(shown), 3.3), sharex=True, sharey=True)
    for axis, (title, points) in zip(axes, shown.items(), strict=True):
        axis.scatter(*points.T, s=1, lw=0, color="#1f5aa6")
        axis.set(title=title, aspect="equal", xlim=(-2.5, 2.5), ylim=(-2.5, 2.5))
    path = out / "points-samples.png"
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=["points", "fashion_mnist"])
    parser.add_argument("overrides", nargs="*", default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms(given.data)}
    for seed in given.seeds:
        for arm in results:
            results[arm].append(run(given.data, arm, seed, given.out, given.overrides))
            print(arm, seed, {k: round(v, 4) for k, v in results[arm][-1].items()}, flush=True)
    print(table(results))
    print(f"diagnostics: {draw(given.data, given.seeds, given.out)}")
    if given.data == "points":
        print(f"samples: {draw_points(given.seeds[0], given.out)}")


if __name__ == "__main__":
    main()

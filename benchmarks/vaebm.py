"""VAEBM: its samples beside those of its VAE, what it finds unusual, and StackedMNIST.

    python -m benchmarks.vaebm samples   [--seeds 0 1 2] [--out runs/bench/vaebm] [-n 10000]
    python -m benchmarks.vaebm unusual   [--seeds 0 1 2] [--out runs/bench/vaebm] [-n 2000]
    python -m benchmarks.vaebm stacked   [--seeds 0 1 2] [--out runs/bench/vaebm] [-n 25600]
    python -m benchmarks.vaebm picture   [--seeds 0]     [--out runs/bench/vaebm]

Trains recipes/fashion_mnist/vaebm, or recipes/stacked_mnist/vaebm for `stacked`, with each seed; what is unfinished is
resumed, and what was measured is kept beside the runs. `samples`: Frechet distance to the 10,000 test images, in
features of the shipped fashion-mnist-classifier, of the VAE, of the VAE with the energy choosing among its samples, and
of chains of several lengths by both targets. `unusual`: area under the ROC curve of Fashion-MNIST's test images against
digits, grey photographs and noise, by the energy, the VAE's bound, both together, and the bound of the shipped
fashion-mnist-ddpm. `stacked`: modes of 1,000, divergence from uniform and the confidence of a digit classifier in all
three digits. Each prints a Markdown table of means and standard deviations over seeds.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.runs import kept
from genkit.core.generator import Generator
from genkit.data.folder import folder
from genkit.data.stacked_mnist import stacked_mnist
from genkit.data.torchvision_sets import fashion_mnist, mnist
from genkit.diffusion.ddpm import DDPM
from genkit.evaluation import evaluate
from genkit.evaluation.image_scores import image_scores
from genkit.images.grid import grid
from genkit.images.pixels import to_uint8, write_png
from genkit.training import train
from genkit.training.rollback import falls_of
from genkit.training.staged import load_recipe
from genkit.vae.energy.langevin import Langevin, Runaway
from genkit.vae.energy.vaebm import VAEBM

JUDGE, BATCH = "fashion-mnist-classifier", 100
STEPS, CANDIDATES, BOUND_STEPS = (5, 8, 10, 16, 32), 16, "100"
PHOTOGRAPHS = "CIFAR10-jpeg"

Values = Mapping[str, float]


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Bench:
    """Runs of one recipe, and what was measured of them."""

    def __init__(self, given: argparse.Namespace):
        self.out, self.n, self.seeds = given.out, given.n, given.seeds

    def run(self, data: str, seed: int) -> Path:
        keys = (f"seed={seed}", "trackers=[]")
        changes = [f"stages.{stage}.train.{key}" for stage in ("vae", "energy") for key in keys]
        return train(load_recipe(f"{data}/vaebm", changes), self.out / f"{data}-{seed}", resume=True)

    def kept(self, run: Path, name: str, measure: Callable[[], Values]) -> Values:
        values = kept(run / f"bench-{name.replace(' ', '-').replace(',', '')}-{self.n}.json", measure)
        print(run.name, name, {k: round(v, 4) for k, v in values.items()}, flush=True)
        return values

    def table(self, rows: Mapping[str, list[Values]]) -> None:
        columns = list(dict.fromkeys(name for found in rows.values() for values in found for name in values))
        print("| | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
        for name, found in rows.items():
            cells = [spread([values[column] for values in found if column in values]) for column in columns]
            print(f"| {name} | {' | '.join(cells)} |")


def spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else "")


def ways(vaebm: VAEBM) -> dict[str, Callable[[], None]]:
    """Name -> what makes `vaebm` sample so."""
    size = vaebm.langevin.step_size if vaebm.langevin else 1e-2

    def way(langevin: Langevin | None, candidates: int = 1) -> Callable[[], None]:
        def use() -> None:
            vaebm.langevin, vaebm.candidates = langevin, candidates

        return use

    found = {"VAE": way(None), f"VAE, one of {CANDIDATES} by energy": way(None, CANDIDATES)}
    found |= {f"VAEBM, {steps} steps": way(Langevin(steps, size)) for steps in STEPS}
    found |= {f"VAEBM, {s} steps, published": way(Langevin(s, size, "published")) for s in (8, 16)}
    return found | {f"VAEBM, 8 steps from one of {CANDIDATES}": way(Langevin(8, size), CANDIDATES)}


def samples(bench: Bench) -> None:
    rows: dict[str, list[Values]] = {}
    for seed in bench.seeds:
        run = bench.run("fashion_mnist", seed)
        vaebm = VAEBM.from_pretrained(run / "energy")
        for name, use in ways(vaebm).items():
            use()
            rows.setdefault(name, []).append(bench.kept(run, name, lambda v=vaebm: distance(v, bench.n)))
        falls = falls_of(run / "energy" / "checkpoints")
        print(f"seed {seed}: went back {len(falls)} times: {[(fall['at'], fall['to']) for fall in falls]}")
    bench.table(rows)


def distance(generator: Generator, n: int) -> Values:
    """By noise that no selection has seen; chains may run away, as those of the published target do."""
    try:
        x = drawn(generator, n)
    except Runaway:
        return {"ran away": 1.0}
    test = {"type": "fashion_mnist", "split": "test"}
    scores = evaluate(x, test, metrics=["fd", "pr"], n=n, extractor=JUDGE)
    return {name: scores[name] for name in ("fd", "precision", "recall")}


def unusual(bench: Bench) -> None:
    rows: dict[str, list[Values]] = {}
    usual, others = fashion_mnist("test").x[: bench.n], other_images(bench.n)
    for seed in bench.seeds:
        run = bench.run("fashion_mnist", seed)
        vaebm = VAEBM.from_pretrained(run / "energy")

        def of_vaebm(vaebm: VAEBM = vaebm) -> Values:
            return {
                f"{score}: {name}": area(scored(vaebm, usual)[score] * sign, scored(vaebm, x)[score] * sign)
                for name, x in others.items()
                for score, sign in {"energy": 1, "decoder_bound": -1, "outlier_score": 1}.items()
            }

        found = bench.kept(run, "unusual", of_vaebm)
        for score, title in {"energy": "E(x)", "decoder_bound": "VAE's bound", "outlier_score": "E - bound"}.items():
            values = {name: found[f"{score}: {name}"] for name in others}
            rows.setdefault(title, []).append(values)
    ddpm = DDPM.from_pretrained("fashion-mnist-ddpm")
    ddpm.process = ddpm.process.with_settings(kept=BOUND_STEPS)
    few = bench.n // 4
    for seed in bench.seeds:
        part = slice(few * seed, few * (seed + 1))

        def of_ddpm(seed: int = seed, part: slice = part) -> Values:
            own = scored(ddpm, usual[part], seed)["outlier_score"]
            return {name: area(own, scored(ddpm, x[part], seed)["outlier_score"]) for name, x in others.items()}

        found = bench.kept(bench.out, f"unusual ddpm {BOUND_STEPS} {seed}", of_ddpm)
        rows.setdefault(f"DDPM's bound, {BOUND_STEPS} steps, {few} other images by seed", []).append(found)
    bench.table(rows)


def other_images(n: int) -> dict[str, Tensor]:
    """Digits, photographs in grey where there are any, and noise; (n, 1, 28, 28) uint8."""
    from genkit.data.storage import data_root

    found = {"digits": mnist("test").x[:n]}
    if zips := sorted((data_root(None) / PHOTOGRAPHS).glob("*.zip")):
        few = n // len(zips) + 1
        found["photographs"] = torch.cat([folder(path, 28, 1, labels=False).x[:few] for path in zips])[:n]
    noise = torch.randint(0, 256, (n, 1, 28, 28), generator=rng(0))
    return found | {"noise": noise.to(torch.uint8)}


def scored(generator: Generator, x: Tensor, seed: int = 0) -> Mapping[str, Tensor]:
    from genkit.data.dataset import DataSet

    return image_scores(generator, DataSet("images", x), seed, BATCH)[1]


def area(usual: Tensor, others: Tensor) -> float:
    """Share of pairs in which the other image has the higher score."""
    order = torch.cat([usual, others]).argsort().argsort().double() + 1
    ranks = order[len(usual) :].sum() - len(others) * (len(others) + 1) / 2
    return float(ranks / (len(usual) * len(others)))


def stacked(bench: Bench) -> None:
    rows: dict[str, list[Values]] = {}
    real = stacked_mnist("test", bench.n, seed=1).x
    for seed in bench.seeds:
        run = bench.run("stacked_mnist", seed)
        vaebm = VAEBM.from_pretrained(run / "energy")
        rows.setdefault("test images", []).append(bench.kept(run, "stacked real", lambda: counted(real)))
        uses = ways(vaebm)
        for name in ("VAE", f"VAE, one of {CANDIDATES} by energy", "VAEBM, 16 steps"):
            uses[name]()
            found = bench.kept(run, f"stacked {name}", lambda v=vaebm: counted(drawn(v, bench.n)))
            rows.setdefault(name, []).append(found)
    bench.table(rows)


def drawn(generator: Generator, n: int) -> Tensor:
    return torch.cat([to_uint8(part) for part in generator.stream(n, BATCH, rng=rng(12345))])


def counted(x: Tensor) -> Values:
    """Modes of 1,000, KL(samples || uniform over them) in nats, and the judge's mean confidence in a sample's mode."""
    scores = evaluate(x, {"type": "stacked_mnist", "split": "test"}, metrics=["class_modes"], n=len(x))
    return {"modes": scores["classes_found"], "KL": scores["class_kl"], "confidence": scores["confidence"]}


def picture(bench: Bench) -> None:
    """The same 48 samples before and after, in alternating rows."""
    for data in ("fashion_mnist", "stacked_mnist"):
        vaebm = VAEBM.from_pretrained(bench.run(data, bench.seeds[0]) / "energy")
        langevin, rows = vaebm.langevin, []
        for chains in (None, langevin):
            vaebm.langevin = chains
            rows.append(to_uint8(vaebm.sample(48, rng=rng(5))).unflatten(0, (3, 16)))
        path = bench.out / f"before-and-after-{data}.png"
        write_png(path, grid(torch.stack(rows, 1).flatten(0, 2), 16))
        print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["samples", "unusual", "stacked", "picture"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/bench/vaebm"))
    parser.add_argument("-n", type=int)
    given = parser.parse_args()
    given.n = given.n or {"samples": 10_000, "unusual": 2000, "stacked": 25_600}.get(given.what, 0)
    torch.set_num_threads(1)
    {"samples": samples, "unusual": unusual, "stacked": stacked, "picture": picture}[given.what](Bench(given))


if __name__ == "__main__":
    main()

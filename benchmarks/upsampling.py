"""An upsampler and a cascade beside bilinear interpolation, on Fashion-MNIST.

    python -m benchmarks.upsampling images  UPSAMPLER [-n 1000] [--seeds 3]
    python -m benchmarks.upsampling cascade UPSAMPLER --base BASE [-n 1000] [--seeds 3]
    python -m benchmarks.upsampling picture UPSAMPLER [--base BASE]

UPSAMPLER is a run or the weights of recipes/fashion_mnist/ddpm_upsampler, BASE those of the 14-pixel base of
recipes/fashion_mnist/cascade (a run of that has them as RUN/upsampler and RUN/base). Small images are test images made
small as in training. `images` gives the error of the enlarged images, and the Frechet distance to the test images in
features of the shipped fashion-mnist-classifier; `cascade` the distance of samples. Each prints a Markdown table, means
over seeds and their standard deviation. What was measured is kept in --out: a call that was stopped measures the rest.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.runs import kept
from genkit.core.generator import Generator
from genkit.core.location import sha256_of_weights
from genkit.data.dataset import DataSet
from genkit.data.torchvision_sets import fashion_mnist
from genkit.diffusion.classifier_free_guidance import ClassifierFreeGuided
from genkit.diffusion.upsampler import LOW_RES, Cascade, Upsampler
from genkit.evaluation import evaluate
from genkit.images.grid import grid
from genkit.images.pixels import from_uint8, to_uint8, write_png

JUDGE, SCALE, BATCH = "fashion-mnist-classifier", 2.0, 100
DATA = {"type": "fashion_mnist", "split": "test"}

Values = Mapping[str, float]


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def eight_bit(x: Tensor) -> Tensor:
    return from_uint8(to_uint8(x.cpu()))


def enlarged(low: Tensor, mode: str, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(low, size, mode=mode).clamp(-1, 1)


def made(generator: Generator, condition: Mapping[str, Tensor], n: int, seed: int) -> Tensor:
    return eight_bit(torch.cat(list(generator.stream(n, BATCH, condition=condition, rng=rng(seed)))))


def errors(x: Tensor, real: Tensor) -> Values:
    """Of pixels in [0, 255]: root of the mean squared error, and the mean over images of the peak ratio in decibels."""
    squares = ((x - real) * 127.5).double().square().flatten(1).mean(1)
    return {"rmse": squares.mean().sqrt().item(), "psnr": (10 * (255**2 / squares).log10()).mean().item()}


def distances(x: Tensor) -> Values:
    """To the test set, of which as many images are drawn."""
    scores = evaluate(to_uint8(x), DATA, metrics=["fd", "kd", "pr"], n=len(x), extractor=JUDGE)
    return {name: scores[name] for name in ("fd", "kd", "precision", "recall")}


class Bench:
    """Both models, the test images of a seed, and what was measured before.

    Args:
        given: the command line.
    """

    def __init__(self, given: argparse.Namespace):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.upsampler = Upsampler.from_pretrained(given.upsampler).to(self.device)
        self.base = Generator.from_pretrained(given.base).to(self.device) if given.base else None
        self.n, self.seeds, self.out, self.data = given.n, given.seeds, given.out, fashion_mnist("test")
        paths = [given.upsampler, *([given.base] if given.base else [])]
        self.version = "-".join(sha256_of_weights(path)[:8] for path in paths)

    def test_images(self, seed: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Real ones, made small, and their labels."""
        index = torch.randperm(len(self.data), generator=rng(seed))[:n]
        real = self.data.rows(index)
        return real, self.upsampler.condition_of(real)[LOW_RES], labels(self.data, index)

    def guided(self) -> Generator:
        return ClassifierFreeGuided(self.upsampler, SCALE)

    def kept(self, name: str, seed: int, measure: Callable[[], Values]) -> Values:
        """The result of `measure`, from its file if the same weights were measured before."""
        folder = self.out / "upsampling" / f"{self.version}-{self.n}"
        return kept(folder / f"{name.replace(' ', '-')}-{seed}.json", measure)


def labels(data: DataSet, index: Tensor) -> Tensor:
    return data.condition(index)["label"]


def images(bench: Bench) -> None:
    """Test images made small and large again."""

    def upsampled(generator: Generator) -> Callable[[Tensor, Tensor, int], Tensor]:
        return lambda low, label, seed: made(generator, {LOW_RES: low, "label": label}, len(low), seed)

    size = bench.upsampler.sample_shape[1:]
    ways: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
        "nearest": lambda low, label, seed: eight_bit(enlarged(low, "nearest", size)),
        "bilinear": lambda low, label, seed: eight_bit(enlarged(low, "bilinear", size)),
        "bicubic": lambda low, label, seed: eight_bit(enlarged(low, "bicubic", size)),
        "upsampler": upsampled(bench.upsampler),
        "upsampler, mean of 8": lambda low, label, seed: mean_of(upsampled(bench.upsampler), low, label, seed),
        f"upsampler, guided at {SCALE:g}": upsampled(bench.guided()),
    }

    def measured(way: Callable[[Tensor, Tensor, int], Tensor], seed: int) -> Values:
        real, low, label = bench.test_images(seed, bench.n)
        x = way(low, label, seed)
        return {**errors(x, real), **distances(x), "low_res_rmse": low_error(bench.upsampler, x, low)}

    print("| test images from 14 to 28 pixels | RMSE | PSNR, dB | FD | KD x 1000 | precision | recall | RMSE at 14 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, way in ways.items():
        rows = [bench.kept(name, seed, lambda way=way, seed=seed: measured(way, seed)) for seed in range(bench.seeds)]  # type: ignore[misc]
        told = [spread(rows, "rmse", 2), spread(rows, "psnr", 2), *of_distances(rows), spread(rows, "low_res_rmse", 2)]
        print(f"| {name} | {' | '.join(told)} |", flush=True)


def low_error(upsampler: Upsampler, x: Tensor, low: Tensor) -> float:
    """Error between a large image, made small again, and the small one."""
    return errors(upsampler.condition_of(x)[LOW_RES], low)["rmse"]


def mean_of(way: Callable[[Tensor, Tensor, int], Tensor], low: Tensor, label: Tensor, seed: int) -> Tensor:
    """The mean of eight draws, which has the least error and is soft."""
    return torch.stack([way(low, label, 100 * (k + 1) + seed) for k in range(8)]).mean(0)


def cascade(bench: Bench) -> None:
    """Samples of the base made large in three ways, evenly many of each class."""
    base = with_base(bench)
    label, size = torch.arange(bench.n) % 10, bench.upsampler.sample_shape[1:]
    ways: dict[str, Callable[[int], Tensor]] = {
        "base alone, bilinear": lambda seed: enlarged(made(base, {"label": label}, bench.n, seed), "bilinear", size),
        "base alone, bicubic": lambda seed: enlarged(made(base, {"label": label}, bench.n, seed), "bicubic", size),
        "cascade": lambda seed: made(Cascade(base, bench.upsampler), {"label": label}, bench.n, seed),
        f"cascade, upsampler guided at {SCALE:g}": lambda seed: made(
            Cascade(base, bench.guided()),
            {"label": label},
            bench.n,
            seed,  # type: ignore[arg-type]
        ),
        "fashion-mnist-ddpm, at 28 at once": lambda seed: made(
            Generator.from_pretrained("fashion-mnist-ddpm").to(bench.device), {"label": label}, bench.n, seed
        ),
    }
    print("| samples at 28 pixels | FD | KD x 1000 | precision | recall |\n|---|---|---|---|---|")
    for name, way in ways.items():
        rows = [
            bench.kept(name, seed, lambda way=way, seed=seed: distances(eight_bit(way(seed))))  # type: ignore[misc]
            for seed in range(bench.seeds)
        ]
        print(f"| {name} | {' | '.join(of_distances(rows))} |", flush=True)


def with_base(bench: Bench) -> Generator:
    if bench.base is None:
        raise SystemExit("cascade: give the base by --base")
    return bench.base


def of_distances(rows: list[Values]) -> list[str]:
    thousand = [{"kd": 1000 * row["kd"]} for row in rows]
    return [spread(rows, "fd", 2), spread(thousand, "kd", 2), spread(rows, "precision", 3), spread(rows, "recall", 3)]


def spread(rows: list[Values], name: str, digits: int) -> str:
    values = [row[name] for row in rows]
    if not all(map(math.isfinite, values)):
        return "none"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def picture(bench: Bench) -> None:
    """Ten test images: small, bilinear, upsampled twice, real; and the cascade's samples below what its base made."""
    real, low, label = (part[:10] for part in bench.test_images(0, 10))
    size, asked = bench.upsampler.sample_shape[1:], {LOW_RES: low, "label": label}
    rows = [enlarged(low, "nearest", size), enlarged(low, "bilinear", size)]
    rows += [made(bench.upsampler, asked, len(low), seed) for seed in (0, 1)]
    save([*rows, real], bench.out / "upsampling.png")
    if bench.base:
        wanted = {"label": torch.arange(10)}
        small = made(bench.base, wanted, 10, 0)
        large = made(Cascade(bench.base, bench.upsampler), wanted, 10, 0)
        shown = [enlarged(small, "nearest", size), enlarged(small, "bilinear", size), large]
        save(shown, bench.out / "cascade.png")


def save(rows: list[Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    large = F.interpolate(torch.cat(rows).cpu(), scale_factor=3, mode="nearest")
    write_png(path, grid(large, len(rows[0])))
    print(f"{path}: {len(rows)} rows")


COMMANDS = {"images": images, "cascade": cascade, "picture": picture}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(COMMANDS))
    parser.add_argument("upsampler")
    parser.add_argument("--base")
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    COMMANDS[given.what](Bench(given))


if __name__ == "__main__":
    main()

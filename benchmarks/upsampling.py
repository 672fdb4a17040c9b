"""An upsampler and a cascade beside bilinear interpolation, on Fashion-MNIST.

    python -m benchmarks.upsampling images  UPSAMPLER... [-n 1000] [--seeds 3] [--only ROW...]
    python -m benchmarks.upsampling cascade UPSAMPLER... --base BASE... [-n 1000] [--seeds 3] [--only ROW...]
    python -m benchmarks.upsampling picture UPSAMPLER [--base BASE]

UPSAMPLER is a run or the weights of recipes/fashion_mnist/ddpm_upsampler, BASE those of the 14-pixel base of
recipes/fashion_mnist/cascade (a run of that has them as RUN/upsampler and RUN/base); several are trainings with several
seeds. Small images are test images made small as in training, or, in the rows "of bicubic ones", as `data: {size: 14}`
makes those that the base learns from. `images` gives the error of the enlarged images, and the Frechet distance to the
test images in features of the shipped fashion-mnist-classifier; `cascade` the distance of samples. Each prints a
Markdown table, means over the seeds of the samples and their standard deviation; of several trainings means over
trainings, each itself a mean over seeds. What was measured is kept in --out: a call that was stopped measures the rest.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from genkit.images.pixels import from_uint8, resize, to_uint8, write_png

JUDGE, SCALE, BATCH = "fashion-mnist-classifier", 2.0, 100
OTHERWISE = ", of bicubic ones"
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
    """Both models of one training, the test images of a seed, and what was measured before.

    Args:
        given: the command line.
        upsampler, base: places of their weights.
    """

    def __init__(self, given: argparse.Namespace, upsampler: str, base: str | None):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.upsampler = Upsampler.from_pretrained(upsampler).to(self.device)
        self.base = Generator.from_pretrained(base).to(self.device) if base else None
        self.n, self.seeds, self.out, self.data = given.n, given.seeds, given.out, fashion_mnist("test")
        self.only = given.only
        self.version = "-".join(sha256_of_weights(path)[:8] for path in (upsampler, base) if path)

    def test_images(self, seed: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Real ones, made small, and their labels."""
        index = torch.randperm(len(self.data), generator=rng(seed))[:n]
        real = self.data.rows(index)
        return real, self.upsampler.condition_of(real)[LOW_RES], labels(self.data, index)

    def measured(self, name: str, measure: Callable[[int], Values]) -> list[Values]:
        """The results of `measure` for all seeds, each from its file if the same weights were measured before."""
        folder = self.out / "upsampling" / f"{self.version}-{self.n}"
        file = name.replace(" ", "-")
        return [kept(folder / f"{file}-{k}.json", lambda k=k: measure(k)) for k in range(self.seeds)]  # type: ignore[misc]

    def asked(self, row: str) -> bool:
        return not self.only or row in self.only

    def guided(self) -> Generator:
        return ClassifierFreeGuided(self.upsampler, SCALE)


def labels(data: DataSet, index: Tensor) -> Tensor:
    return data.condition(index)["label"]


def images(trainings: Sequence[Bench]) -> None:
    """Test images made small and large again."""
    size = trainings[0].upsampler.sample_shape[1:]
    ways: dict[str, Callable[[Bench, Tensor, Tensor, int], Tensor]] = {
        "nearest": lambda _, low, label, seed: eight_bit(enlarged(low, "nearest", size)),
        "bilinear": lambda _, low, label, seed: eight_bit(enlarged(low, "bilinear", size)),
        "bicubic": lambda _, low, label, seed: eight_bit(enlarged(low, "bicubic", size)),
        "upsampler": lambda bench, *asked: upsampled(bench.upsampler, *asked),
        "upsampler, mean of 8": lambda bench, *asked: mean_of_eight(bench.upsampler, *asked),
        f"upsampler, guided at {SCALE:g}": lambda bench, *asked: upsampled(bench.guided(), *asked),
    }
    print("| test images from 14 to 28 pixels | RMSE | PSNR, dB | FD | KD x 1000 | precision | recall | RMSE at 14 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in filter(trainings[0].asked, (*ways, f"bicubic{OTHERWISE}", f"upsampler{OTHERWISE}")):
        way = ways[name.removesuffix(OTHERWISE)]

        def measure(bench: Bench, seed: int, name: str = name, way: Any = way) -> Values:
            real, low, label = bench.test_images(seed, bench.n)
            if name.endswith(OTHERWISE):
                low = from_uint8(resize(to_uint8(real), low.shape[-1]))
            x = way(bench, low, label, seed)
            return {**errors(x, real), **distances(x), "low_res_rmse": low_error(bench.upsampler, x, low)}

        rows = measured(trainings, name, measure)
        told = [spread(rows, "rmse", 2), spread(rows, "psnr", 2), *of_distances(rows), spread(rows, "low_res_rmse", 2)]
        print(f"| {name} | {' | '.join(told)} |", flush=True)


def low_error(upsampler: Upsampler, x: Tensor, low: Tensor) -> float:
    """Error between a large image, made small again, and the small one."""
    return errors(upsampler.condition_of(x)[LOW_RES], low)["rmse"]


def upsampled(generator: Generator, low: Tensor, label: Tensor, seed: int) -> Tensor:
    return made(generator, {LOW_RES: low, "label": label}, len(low), seed)


def mean_of_eight(generator: Generator, low: Tensor, label: Tensor, seed: int) -> Tensor:
    """The mean of eight draws, which has the least error and is soft."""
    return torch.stack([upsampled(generator, low, label, 100 * (k + 1) + seed) for k in range(8)]).mean(0)


def cascade(trainings: Sequence[Bench]) -> None:
    """Samples of the base made large in three ways, evenly many of each class."""
    n, size = trainings[0].n, trainings[0].upsampler.sample_shape[1:]
    label = torch.arange(n) % 10

    def sampled(generator: Generator, seed: int) -> Tensor:
        return made(generator, {"label": label}, n, seed)

    ways: dict[str, Callable[[Bench, int], Tensor]] = {
        "base alone, bilinear": lambda bench, seed: enlarged(sampled(with_base(bench), seed), "bilinear", size),
        "base alone, bicubic": lambda bench, seed: enlarged(sampled(with_base(bench), seed), "bicubic", size),
        "cascade": lambda bench, seed: sampled(Cascade(with_base(bench), bench.upsampler), seed),
        f"cascade, upsampler guided at {SCALE:g}": lambda bench, seed: sampled(
            Cascade(with_base(bench), bench.guided()),  # type: ignore[arg-type]
            seed,
        ),
    }
    whole = "fashion-mnist-ddpm"
    shipped: dict[str, Callable[[Bench, int], Tensor]] = {
        f"{whole}, at 28 at once": lambda bench, seed: sampled(Generator.from_pretrained(whole).to(bench.device), seed),
    }
    print("| samples at 28 pixels | FD | KD x 1000 | precision | recall |\n|---|---|---|---|---|")
    for some, of_them in ((trainings, ways), (trainings[:1], shipped)):
        for name, way in ((name, way) for name, way in of_them.items() if trainings[0].asked(name)):
            rows = measured(some, name, lambda bench, seed, way=way: distances(eight_bit(way(bench, seed))))  # type: ignore[misc]
            print(f"| {name} | {' | '.join(of_distances(rows))} |", flush=True)


def with_base(bench: Bench) -> Generator:
    if bench.base is None:
        raise SystemExit("cascade: give the base by --base")
    return bench.base


def measured(trainings: Sequence[Bench], name: str, measure: Callable[[Bench, int], Values]) -> list[Values]:
    """Of one training a row a seed, of several a row a training: its mean over seeds."""
    of_each = [bench.measured(name, lambda seed, bench=bench: measure(bench, seed)) for bench in trainings]  # type: ignore[misc]
    if len(of_each) == 1:
        return of_each[0]
    return [{key: statistics.mean(row[key] for row in rows) for key in rows[0]} for rows in of_each]


def of_distances(rows: list[Values]) -> list[str]:
    thousand = [{"kd": 1000 * row["kd"]} for row in rows]
    return [spread(rows, "fd", 2), spread(thousand, "kd", 2), spread(rows, "precision", 3), spread(rows, "recall", 3)]


def spread(rows: list[Values], name: str, digits: int) -> str:
    values = [row[name] for row in rows]
    if not all(map(math.isfinite, values)):
        return "none"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def picture(trainings: Sequence[Bench]) -> None:
    """Ten test images: small, bilinear, upsampled twice, real; and the cascade's samples below what its base made."""
    bench = trainings[0]
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
    parser.add_argument("upsampler", nargs="+")
    parser.add_argument("--base", nargs="+", default=[])
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="Rows of the table by name.")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    given = parser.parse_args()
    bases = given.base or [None] * len(given.upsampler)
    if len(bases) != len(given.upsampler):
        parser.error("--base: give as many as there are upsamplers")
    COMMANDS[given.what]([Bench(given, *places) for places in zip(given.upsampler, bases, strict=True)])


if __name__ == "__main__":
    main()

"""Rejection sampling and its relatives: 25 Gaussians of the paper, clothes of four generators, and what it costs.

    python -m benchmarks.rejection points [--seeds 0 1 2 3 4] [--out runs/bench/rejection]
    python -m benchmarks.rejection clothes NAME=WEIGHTS ... [--seeds 0 1 2] [--features CLASSIFIER] [--out ...]
    python -m benchmarks.rejection cost [--out ...]

`points` trains recipes/points/rejection with every seed and draws 10,000 samples of each sampler
(2,000 of those that cost hundreds of proposals a sample). `clothes` refines
weights of Fashion-MNIST by the command line, and scores 10,000 raw, other raw and rejected samples of each seed, by the
shipped classifier of clothes and by one that has never seen any; of a run with a critic, its raw score beside; with
--features, a linear head on those of CLASSIFIER. What is finished is kept, what was stopped goes on. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from benchmarks.runs import kept
from genkit.cli.refine_recipe import critic_of
from genkit.core.errors import GenkitError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.posthoc.rejection.density_ratio import DensityRatio
from genkit.posthoc.rejection.metropolis_hastings import MetropolisHastings
from genkit.posthoc.rejection.rejection import Rejection

N = 10_000
FEW = 2_000
"""Samples of exact rejection and of chains, which cost hundreds of proposals each."""

GOOD, ENOUGH = 0.2, 0.01
"""A good point lies within four deviations of its mode; a mode is found with such a share of all points."""

Made = dict[tuple[float, ...], Tensor]
"""Samples by seed and condition."""

OTHER = 1000
JUDGES = {"": "fashion-mnist-classifier", "_other": "mnist-classifier"}
"""Extractors by what their scores end with."""


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# 25 Gaussians


def points(seeds: Sequence[int], out: Path) -> None:
    from genkit.training import train
    from genkit.training.staged import load_recipe

    rows: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        run = out / f"points-{seed}"
        overrides = [f"stages.{stage}.train.seed={seed}" for stage in ("gan", "rejection")]
        train(load_recipe("points/rejection", overrides), run, resume=True)
        for name, make in samplers(run).items():
            path = out / f"points-{seed}-{name.replace(' ', '-').replace(',', '')}.json"
            n = FEW if name.startswith(("exact", "MH")) else N
            rows.setdefault(name, []).append(kept(path, partial(measured, make, seed, n)))
    print("| sampler | % good | modes with 1 % | share kept | divergence of modes |", "|---|---|---|---|---|", sep="\n")
    for name, found in rows.items():
        cells = (spread([f[k] for f in found]) for k in ("good", "modes", "kept", "divergence"))
        print(f"| {name} | " + " | ".join(cells) + " |")


def samplers(run: Path) -> Mapping[str, Callable[[], Generator]]:
    """Makers of the samplers that are compared, by name."""
    rejection = Rejection.from_pretrained(run)
    gan, kept_training = rejection.generator, rejection.ratio
    raw = DensityRatio(torch.nn.Module.eval(_critic(str(run / "gan"))))
    return {
        "none": lambda: gan,
        "DRS, raw critic, 95": lambda: Rejection(gan, raw, percentile=95),
        "DRS, kept critic, 95": lambda: Rejection(gan, kept_training, percentile=95),
        "DRS, kept critic, 80": lambda: Rejection(gan, kept_training, percentile=80),
        "exact": lambda: Rejection(gan, kept_training, gamma=0.0),
        "MH, 100": lambda: MetropolisHastings(gan, kept_training, 100),
    }


def _critic(weights: str) -> Any:
    from genkit.core.reference import load_reference

    return load_reference(torch.nn.Module, {"weights": weights, "product": "critic"}, "the critic")


def measured(make: Callable[[], Generator], seed: int, n: int) -> dict[str, float]:
    """Shares of n points; nan where the sampler would not finish."""
    sampler = make()
    try:
        x = torch.cat(list(sampler.stream(n, 500, rng=rng(seed))))
    except GenkitError:
        return dict.fromkeys(("good", "modes", "kept", "divergence"), math.nan)
    proposals = getattr(sampler, "proposals", None)
    return {**of_points(x), "kept": proposals.kept / proposals.made if proposals else 1.0}


def of_points(x: Tensor) -> dict[str, float]:
    """% of good points, modes found, and the Jensen-Shannon divergence of the good points over modes from uniform."""
    centre = x.round().clamp(-2, 2)
    good = (x - centre).norm(dim=1) <= GOOD
    number = ((centre[:, 0] + 2) * 5 + centre[:, 1] + 2).long()[good]
    counts = torch.bincount(number, minlength=25).double()
    p, u = counts / counts.sum(), torch.full((25,), 1 / 25, dtype=torch.float64)
    m = (p + u) / 2
    divergence = sum((torch.special.xlogy(q, q / m)).sum().item() for q in (p, u)) / 2
    return {
        "good": 100 * good.double().mean().item(),
        "modes": float((counts >= ENOUGH * len(x)).sum()),
        "divergence": divergence,
    }


# Clothes


def clothes(named: Mapping[str, str], seeds: Sequence[int], features: str | None, out: Path) -> None:
    rows: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name, weights in named.items():
        for seed in seeds:
            for kind, generator in arms(name, weights, seed, features, out):
                path = out / f"clothes-{name}-{kind.replace(' ', '-')}-{seed}.json"
                found = kept(path, partial(scored, generator, seed + OTHER * (kind == "other raw")))
                rows.setdefault(name, {}).setdefault(kind, []).append(found)
    print(
        "| generator | samples | FD | precision | recall | FD, other | kept |",
        "|---|---|---|---|---|---|---|",
        sep="\n",
    )
    for name, kinds in rows.items():
        for kind, found in kinds.items():
            cells = (spread([f[k] for f in found]) for k in ("fd", "precision", "recall", "fd_other", "kept"))
            print(f"| {name} | {kind} | " + " | ".join(cells) + " |")


def arms(name: str, weights: str, seed: int, features: str | None, out: Path) -> Iterator[tuple[str, Generator]]:
    raw, made = Generator.from_pretrained(weights), Made()
    remember(raw, made)
    yield "raw", raw
    yield "other raw", raw
    folders: dict[str, tuple[str, ...]] = {"rejected": ("refined",)}
    if features:
        folders["rejected, features"] = ("featured", "--resume", "--features", features)
    if critic_of(weights):
        folders["rejected, raw critic"] = ("uncalibrated", "--ratio", "raw")
    for kind, (folder, *options) in folders.items():
        rejection = refined(weights, out / f"{folder}-{name}-{seed}", seed, *options)
        remember(rejection.generator, made)
        yield kind, rejection


def remember(generator: Generator, made: Made) -> None:
    """From now on it makes a sample once, for all who share `made`: two judges and each kind of rejection ask for the
    same proposals, which are dear of a diffusion model."""
    honest = generator._sample

    def sample(condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        columns = [[round(float(value), 6) for value in column] for column in condition.values()]
        keys = [*zip(rows.seeds, *columns, strict=True)]
        new = [i for i, key in enumerate(keys) if key not in made]
        if new:
            of_new = {name: column[new] for name, column in condition.items()}
            made.update(zip((keys[i] for i in new), honest(of_new, rows.only(new)), strict=True))
        return torch.stack([made[key] for key in keys])

    generator._sample = sample  # type: ignore[method-assign]


def refined(weights: str, out: Path, seed: int, *options: str) -> Rejection:
    from genkit.cli.main import main

    if not (out / "config.json").is_file():
        command = ["refine", weights, "--data", "fashion_mnist/train", "--out", str(out), "--seed", str(seed)]
        if code := main([*command, *(options or ["--resume"])]):  # what is not trained cannot be resumed
            raise SystemExit(code)
    return Rejection.from_pretrained(out)


def scored(generator: Generator, seed: int) -> dict[str, float]:
    from genkit.core.catalog import build
    from genkit.evaluation.scoring import evaluate

    test = build({"type": "fashion_mnist", "split": "test"}, kind="data")
    found: dict[str, float] = {}
    for end, judge in JUDGES.items():
        values = evaluate(generator, test, ["fd", "pr"], N, judge, seed).to_json()["values"]
        found |= {k + end: float(v) for k, v in values.items()}
    proposals = getattr(generator, "proposals", None)
    return {**found, "kept": proposals.kept / proposals.made if proposals else 1.0}


# Cost


def cost(out: Path) -> None:
    """Shares of a rejection's time that go neither into proposals nor into scores, and samples a second."""
    from genkit.core.catalog import build

    digits, photos = (Generator.from_pretrained(name) for name in ("digits-wgan-ratio-clipping", "small-photos-gan"))
    critic = build({"type": "dcgan_critic", "size": 28, "width": 32})
    for name, rejection, n in (
        ("points", Rejection.from_pretrained(out / "points-0"), 5000),
        ("digits", Rejection(digits, DensityRatio(critic), rate=0.2, samples=1000), 256),
        ("photographs", Rejection(photos, DensityRatio(_critic("small-photos-gan")), rate=0.2, samples=1500), 96),
    ):
        rejection.sample(n, rng=rng(0))
        shares = [bookkeeping(rejection, n, seed) for seed in range(7)]
        kept, raw = (
            statistics.median(n / process_seconds(partial(of.sample, n, rng=rng(seed))) for seed in range(7))
            for of in (rejection, rejection.generator)
        )
        print(
            f"{name}: all but proposals and scores takes {statistics.median(shares):.1%} of the time of a rejection, "
            f"{min(shares):.1%} to {max(shares):.1%} of 7; {kept:,.0f} kept and {raw:,.0f} raw samples a second"
        )


def process_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def bookkeeping(rejection: Rejection, n: int, seed: int) -> float:
    """Share of the CPU time of n kept samples that goes neither into proposals, their streams of noise as without
    rejection, nor into their scores."""
    inner = 0.0

    def timed(work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            nonlocal inner
            start = time.process_time()
            found = work(*given)
            inner += time.process_time() - start
            return found

        return run

    with ExitStack() as patched:
        for of, name in ((rejection.generator, "_sample"), (rejection, "log_ratio"), (Rows, "_begin")):
            patched.enter_context(mock.patch.object(of, name, timed(getattr(of, name))))
        whole = process_seconds(partial(rejection.sample, n, rng=rng(seed)))
    return 1 - inner / whole


def spread(values: Sequence[float]) -> str:
    good = [v for v in values if not math.isnan(v)]
    if not good:
        return "-"
    deviation = statistics.stdev(good) if len(good) > 1 else 0
    missing = f" ({len(values) - len(good)} did not finish)" if len(good) < len(values) else ""
    return f"{statistics.mean(good):.3g} ± {deviation:.2g}{missing}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("points", "clothes", "cost"))
    parser.add_argument("weights", nargs="*", metavar="NAME=WEIGHTS")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--features", help="Weights of a classifier of clothes, another than the judge.")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/rejection"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if args.what == "points":
        points(args.seeds, args.out)
    elif args.what == "clothes":
        clothes(dict(pair.split("=", 1) for pair in args.weights), args.seeds, args.features, args.out)
    else:
        cost(args.out)


if __name__ == "__main__":
    main()

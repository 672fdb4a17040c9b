"""Of what was measured: Markdown with a table a family and what each arm was, and a bench file of samples."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.peers.contestant import Arm
from benchmarks.peers.quality import result_file, sample_folder
from benchmarks.peers.settings import LONG
from genkit.evaluation.bench.spec import Bench, BenchEntry

Found = dict[tuple[str, float], list[dict[str, Any]]]
"""Name of an arm, minutes -> its results, one a seed."""


def tables(out: Path, arms: Sequence[Arm], minutes: Sequence[float], seeds: Sequence[int]) -> Iterator[str]:
    """Lines of Markdown; what has no result is "not run"."""
    found = {(arm.name, m): list(_results(out, arm, m, seeds)) for arm in arms for m in minutes}
    for family in dict.fromkeys(arm.family for arm in arms):
        yield from _family(family, [arm for arm in arms if arm.family == family], minutes, found)
    yield "| | settings | parameters that sample | steps, by minutes | CPU s for 1,000 samples |\n|---|---|---|---|---|"
    for arm in arms:
        yield from _about(arm, minutes, found)


def shelf(out: Path, arms: Sequence[Arm], seed: int) -> dict[str, Any]:
    """A bench of the samples that were kept, judged as the shipped generators of clothes are."""
    entries = []
    for arm in arms:
        folder, found = sample_folder(out, arm, LONG, seed), list(_results(out, arm, LONG, [seed]))
        if found and folder.is_dir():
            cost, training = round(_cost(arm, found[0]), 3), f"{LONG} CPU-minutes"
            entries.append(BenchEntry(arm.name, str(folder), cost=cost, training=training))
    return asdict(replace(Bench.load("fashion_mnist"), name="Fashion-MNIST, other packages", entries=entries))


def _results(out: Path, arm: Arm, minutes: float, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        if (path := result_file(out, arm, minutes, seed)).is_file():
            yield json.loads(path.read_text())


def _family(family: str, arms: Sequence[Arm], minutes: Sequence[float], found: Found) -> Iterator[str]:
    """FDs of a family, for each number of samples that all of its arms have."""
    n = str(min(arm.n for arm in arms))
    yield f"**{family}**, {int(n):,} samples; in brackets times that of genkit's first row\n"
    yield f"| | {' | '.join(f'{m:g} CPU-minutes' for m in minutes)} |"
    yield "|---" * (len(minutes) + 1) + "|"
    first = next((arm.name for arm in arms if not arm.package), None)
    for arm in arms:
        cells = [_cell(found[arm.name, m], found.get((first, m), []) if arm.name != first else [], n) for m in minutes]
        yield f"| {arm.name} | {' | '.join(cells)} |"
    yield ""


def _cell(results: Sequence[dict[str, Any]], first: Sequence[dict[str, Any]], n: str) -> str:
    if not results:
        return "not run"
    values = [r["scores"][n]["fd"] for r in results]
    text = f"{statistics.fmean(values):.2f}"
    text += f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else " (one seed)"
    if first:
        text += f" ({statistics.fmean(values) / statistics.fmean(r['scores'][n]['fd'] for r in first):.2f})"
    return text


def _cost(arm: Arm, found: dict[str, Any]) -> float:
    """CPU seconds for 1,000 samples."""
    return 1000 / arm.n * float(found["sampling_cpu_seconds"])


def _about(arm: Arm, minutes: Sequence[float], found: Found) -> Iterator[str]:
    measured = [(m, found[arm.name, m]) for m in minutes if found[arm.name, m]]
    if not measured:
        return
    every = dict.fromkeys(r["about"] for _, results in measured for r in results)
    steps = ", ".join(f"{m:g}: {statistics.fmean(r['steps'] for r in results):,.0f}" for m, results in measured)
    last = measured[-1][1][0]
    yield f"| {arm.name} | {'; '.join(every)} | {last['parameters']:,} | {steps} | {_cost(arm, last):.3g} |"

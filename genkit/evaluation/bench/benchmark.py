"""Several generators against one reference in one run: the same samples, extractor and metrics for all."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from genkit.core.computing import computing
from genkit.core.crew import ALONE, Crew
from genkit.core.documents import read_mapping
from genkit.core.errors import EvaluationError
from genkit.core.files import check_place, only_writer, write_atomically
from genkit.core.location import sha256_of_weights
from genkit.core.progress import Progress
from genkit.evaluation.bench.pictures import QUERIES, SAMPLES, first_samples, neighbour_picture, sample_picture
from genkit.evaluation.bench.report_page import write_reports
from genkit.evaluation.bench.spec import Bench, BenchEntry
from genkit.evaluation.bench.summary import summarise
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.extractors.features import check_extractor, extractor_for
from genkit.evaluation.possible import Wanted
from genkit.evaluation.scores import versions
from genkit.evaluation.scoring import evaluate
from genkit.evaluation.sources import Source, open_source, opening
from genkit.evaluation.statistics_file import Statistics


class Recipes(Protocol):
    """A trainer of the entries that a bench names by recipe."""

    def check(self, recipe: str, overrides: list[str]) -> None:
        """Raises RecipeError unless it could be trained."""

    def train(self, recipe: str, overrides: list[str], seed: int, run: Path) -> Path:
        """The run or weights folder; a finished run is not trained again."""
        ...


Note = Callable[[str], None]
TIMED, VERSION = 64, 1


def run_bench(
    bench: Bench,
    out: str | Path,
    recipes: Recipes | None = None,
    progress: Progress | None = None,
    note: Note | None = None,
    crew: Crew = ALONE,
) -> dict[str, Any]:
    """Scores every entry with every seed into `out`: bench.json, bench.md and bench.html.

    Resumable: a score is kept in `out`/results with a key of all that it depends on (weights, data, extractor,
    settings), and found there by the next run with the same key.

    Args:
        recipes: trains an entry's recipe; without it such entries are refused.
        progress: called with (samples done, samples in total) over all scores.
        note: called with a line for every score.
        crew: processes that share all work and have the same result; each of them calls this, and the first one writes.

    Returns:
        The content of bench.json.

    Raises:
        EvaluationError, DataError, WeightsError, RecipeError: as `evaluate`, or a recipe without `recipes`.
        CheckpointError: `out` cannot be written.
    """
    return Benchmark(bench, Path(out), recipes, progress or (lambda *_: None), note or (lambda _: None), crew).run()


class Benchmark:
    """One run of a bench."""

    def __init__(
        self, bench: Bench, out: Path, recipes: Recipes | None, progress: Progress, note: Note, crew: Crew = ALONE
    ):
        self.bench, self.out, self.recipes, self.progress, self.note = bench, out, recipes, progress, note
        self.crew = crew
        self.jobs = [(i, entry, seed) for i, entry in enumerate(bench.entries) for seed in bench.seeds]
        if recipes is None and (recipe := next((e.recipe for e in bench.entries if e.recipe), None)):
            raise EvaluationError(f"recipe {recipe} has to be trained first; give its run folder as 'source'")

    @cached_property
    def reference(self) -> Source:
        return _samples(self.bench.against, "against")

    @cached_property
    def training(self) -> Source:
        return _samples(self.bench.neighbours, "neighbours") if self.bench.neighbours else self.reference

    @cached_property
    def extractor(self) -> Extractor:
        return extractor_for(self.bench.extractor, self.reference.name, self.reference.sample_shape, self.bench.weights)

    def check(self) -> None:
        """Checks the file before the first entry is trained or scored; raises as `run_bench`."""
        check_place(self.out, folder=True)
        if self.bench.extractor is not None:
            check_extractor(self.bench.extractor, self.bench.weights)
        for what, role in ((self.bench.against, "against"), (self.bench.neighbours, "neighbours")):
            if what is not None:
                opening(what, role)
        for entry in self.bench.entries:
            if entry.recipe is None:
                opening(entry.source, entry.name)
            elif self.recipes:
                self.recipes.check(entry.recipe, entry.overrides)

    def run(self) -> dict[str, Any]:
        self.check()
        Wanted(self.bench.metrics, self.bench.n).of(self.reference)
        with nullcontext() if self.crew.rank else only_writer(self.out, "writing a bench to"):
            return self._scored()

    def _scored(self) -> dict[str, Any]:
        found: list[list[dict[str, Any]]] = [[] for _ in self.bench.entries]
        for done, (i, entry, seed) in enumerate(self.jobs):
            found[i].append(self._job(done, i, entry, seed))
        result = self._result(found)
        if self.crew.rank:
            return result
        write_atomically(self.out / "bench.json", (json.dumps(result, indent=2) + "\n").encode())
        write_reports(result, self.out)
        return result

    def _job(self, done: int, i: int, entry: BenchEntry, seed: int) -> dict[str, Any]:
        """One entry with one seed: from an earlier run if nothing has changed, else scored now."""
        stem = f"{i:02d}-{re.sub(r'[^0-9A-Za-z-]+', '-', entry.name)[:40]}-seed{seed}"
        what = self._trained(entry, seed, stem)
        source = _samples(what, entry.name)
        path = self.out / "results" / f"{stem}.json"
        key, kept = self.crew.told(("", {}) if self.crew.rank else self._found(entry, what, source, seed, path))
        if kept:
            self.note(f"{entry.name}, seed {seed}: kept from before")
        else:
            kept = {"key": key, **self._score(done, source, seed, stem)}
            if self.crew.rank == 0:
                write_atomically(path, json.dumps(kept).encode())
            values = ", ".join(f"{kept['scores']['labels'][k]} {v:.4g}" for k, v in kept["scores"]["values"].items())
            self.note(f"{entry.name}, seed {seed}: {values}")
        self._tell(done + 1, 0, 1)
        return kept

    def _found(self, entry: BenchEntry, what: Any, source: Source, seed: int, path: Path) -> tuple[str, dict[str, Any]]:
        """The key of a score, and what an earlier run has left with this key; empty if it is to be found anew."""
        key = self._key(entry, sha256_of_weights(what) if source.kind == "weights" else _content(source), seed)
        kept = _read(path)
        whole = kept.get("key") == key and all((self.out / p).is_file() for p in kept["pictures"].values() if p)
        return key, kept if whole else {}

    def _trained(self, entry: BenchEntry, seed: int, stem: str) -> Any:
        if entry.recipe is None:
            return entry.source
        assert self.recipes
        return str(self.recipes.train(entry.recipe, entry.overrides, seed, self.out / "runs" / stem))

    def _key(self, entry: BenchEntry, identity: str | None, seed: int) -> str:
        bench = self.bench
        settings = [VERSION, versions(), bench.n, bench.metrics, seed, self.extractor.id]
        settings += [computing().precision] if computing().precision != "no" else []
        data = [_content(self.reference), _content(self.training) if self.training is not self.reference else None]
        text = json.dumps([settings, data, entry.name, identity])
        return hashlib.sha256(text.encode()).hexdigest()

    def _score(self, done: int, source: Source, seed: int, stem: str) -> dict[str, Any]:
        bench = self.bench
        scores = evaluate(
            source,
            self.reference,
            bench.metrics,
            bench.n,
            self.extractor,
            seed,
            bench.batch_size,
            lambda part, whole: self._tell(done, part, whole),
            crew=self.crew,
        )
        pictures = self._pictures(source, seed, stem) if seed == bench.seeds[0] else {}
        seconds = self.crew.told(None if self.crew.rank else _seconds_per_1000(source, seed))
        return {"scores": self.crew.told(scores.to_json()), "seconds": seconds, "pictures": pictures}

    def _pictures(self, source: Source, seed: int, stem: str) -> dict[str, str | None]:
        samples = first_samples(source, min(SAMPLES, self.bench.n), seed, self.crew)
        made = {f"pictures/{stem}-samples.png": sample_picture(samples)}
        if shown := samples[0].dim() > 1 and len(samples) >= QUERIES:
            n, crew = self.bench.n, self.crew
            picture = neighbour_picture(samples, self.training, self.extractor, n, seed, crew)
            made[f"pictures/{stem}-neighbours.png"] = picture
        for name, png in made.items() if self.crew.rank == 0 else ():
            write_atomically(self.out / name, png)
        return {"samples": next(iter(made)), "neighbours": list(made)[-1] if shown else None}

    def _tell(self, done: int, part: int, whole: int) -> None:
        each = 2 * self.bench.n
        self.progress(done * each + each * part // max(whole, 1), len(self.jobs) * each)

    def _result(self, found: list[list[dict[str, Any]]]) -> dict[str, Any]:
        entries = [
            {
                "name": entry.name,
                "source": entry.source,
                "recipe": entry.recipe,
                "summary": summarise([run["scores"] for run in runs]),
                "cost": entry.cost if entry.cost is not None else runs[0]["seconds"],
                **runs[0]["pictures"],
                "runs": [run["scores"] for run in runs],
            }
            for entry, runs in zip(self.bench.entries, found, strict=True)
        ]
        warnings = list(dict.fromkeys(w for runs in found for run in runs for w in run["scores"]["warnings"]))
        return {
            "bench": asdict(self.bench),
            "reference": self.reference.name,
            "extractor": self.extractor.describe(),
            "versions": versions(),
            "warnings": warnings,
            "entries": entries,
        }


def _samples(what: Any, role: str) -> Source:
    source = open_source(what, role)
    if isinstance(source, Statistics):
        raise EvaluationError(f"{role}: a bench shows samples, so it takes images or points, not statistics")
    return source


def _content(source: Source) -> str | None:
    return source.fingerprint() if source.fingerprint else None


def _seconds_per_1000(source: Source, seed: int) -> float | None:
    """Measured on a few samples after a first one; None for a source that is no generator."""
    if source.kind != "weights":
        return None
    for _ in source.batches(2, seed, 2):
        pass
    started = time.perf_counter()
    for _ in source.batches(TIMED, seed, TIMED):
        pass
    return 1000 * (time.perf_counter() - started) / TIMED


def _read(path: Path) -> dict[str, Any]:
    """An earlier result; {} when there is none or it is damaged."""
    found = read_mapping(path)
    return found if isinstance(found.get("pictures"), dict) else {}

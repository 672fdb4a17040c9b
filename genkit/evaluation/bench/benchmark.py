"""Several generators against one reference in one run: the same samples, extractor and metrics for all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from genkit.core.card_header import card_of
from genkit.core.computing import computing
from genkit.core.crew import ALONE, Crew
from genkit.core.documents import json_of_result, read_mapping
from genkit.core.errors import EvaluationError, RecipeError
from genkit.core.files import check_place, only_writer, write_atomically
from genkit.core.generator import Generator
from genkit.core.location import locate, sha256_of_weights
from genkit.core.progress import Progress
from genkit.core.reference import check_reference
from genkit.evaluation.bench.cost_of_samples import seconds_per_1000
from genkit.evaluation.bench.figures import QUERIES, SAMPLES, first_samples, neighbour_picture, sample_picture
from genkit.evaluation.bench.kept_draw import KeptDraw
from genkit.evaluation.bench.report_page import write_reports
from genkit.evaluation.bench.spec import Bench, BenchEntry
from genkit.evaluation.bench.summary import summarise
from genkit.evaluation.extractors.choice import check_extractor, extractor_for
from genkit.evaluation.extractors.extractor import Extractor
from genkit.evaluation.opening import open_source, opening
from genkit.evaluation.possible import Wanted
from genkit.evaluation.scores import versions
from genkit.evaluation.scoring import evaluate
from genkit.evaluation.sources import Source
from genkit.evaluation.statistics_file import Statistics


class Recipes(Protocol):
    """A trainer of the entries that a bench names by recipe."""

    def check(self, recipe: str, overrides: list[str]) -> None:
        """Raises RecipeError unless it could be trained."""

    def train(self, recipe: str, overrides: list[str], seed: int, run: Path) -> Path:
        """The run or weights folder; a finished run is not trained again."""
        ...


Note = Callable[[str], None]
VERSION = 3


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
    def judges(self) -> list[tuple[Extractor, list[str]]]:
        """Each extractor with its metrics, the first one first."""
        real, weights = self.reference, [self.bench.weights, *[None] * len(self.bench.also)]
        return [
            (extractor_for(name, real.name, real.sample_shape, file), metrics)
            for (name, metrics), file in zip(self.bench.judges(), weights, strict=True)
        ]

    def check(self) -> None:
        """Checks the file before the first entry is trained or scored; raises as `run_bench`."""
        check_place(self.out, folder=True)
        for extractor, weights in ((self.bench.extractor, self.bench.weights), *((e, None) for e in self.bench.also)):
            if extractor is not None:
                check_extractor(extractor, weights)
        for what, role in ((self.bench.against, "against"), (self.bench.neighbours, "neighbours")):
            if what is not None:
                opening(what, role)
        for entry in self.bench.entries:
            if entry.recipe is None and opening(entry.source, entry.name).makes_samples:
                check_reference(Generator, {"weights": str(entry.source)}, entry.name)
            elif entry.recipe is not None and self.recipes:
                try:
                    self.recipes.check(entry.recipe, entry.overrides)
                except RecipeError as fault:
                    raise RecipeError(f"{entry.name}: {fault}") from fault

    def run(self) -> dict[str, Any]:
        self.check()
        for _, metrics in self.bench.judges():
            Wanted(metrics, self.bench.n).of(self.reference)
        with nullcontext() if self.crew.rank else only_writer(self.out, "writing a bench to"):
            return self._scored()

    def _scored(self) -> dict[str, Any]:
        found: list[list[dict[str, Any]]] = [[] for _ in self.bench.entries]
        for done, (i, entry, seed) in enumerate(self.jobs):
            found[i].append(self._job(done, entry, seed))
        result = self._result(found)
        if self.crew.rank:
            return result
        write_atomically(self.out / "bench.json", json_of_result(result))
        write_reports(result, self.out)
        return result

    def _job(self, done: int, entry: BenchEntry, seed: int) -> dict[str, Any]:
        """One entry with one seed: from an earlier run if nothing has changed, else scored now."""
        stem = f"{_slug(entry.name)}-seed{seed}"
        what = self._trained(entry, seed, stem)
        source = _samples(what, entry.name)
        path = self.out / "results" / f"{stem}.json"
        key, kept = self.crew.broadcast(("", {}) if self.crew.rank else self._found(entry, what, source, seed, path))
        if kept:
            self.note(f"{entry.name}, seed {seed}: kept from before")
        else:
            kept = {"key": key, **self._score(done, source, seed, stem, key)}
            if self.crew.rank == 0:
                write_atomically(path, json.dumps(kept).encode())
            values = (f"{s['labels'][k]} {v:.4g}" for s in kept["scores"] for k, v in s["values"].items())
            self.note(f"{entry.name}, seed {seed}: {', '.join(values)}")
        self._tell(done + 1, 0, 1)
        return kept | about_weights(what, source)

    def _found(self, entry: BenchEntry, what: Any, source: Source, seed: int, path: Path) -> tuple[str, dict[str, Any]]:
        """The key of a score, and what an earlier run has left with this key; empty if it is to be found anew."""
        key = self._key(entry, sha256_of_weights(what) if source.kind == "weights" else _content(source), seed)
        kept = _read(path)
        whole = kept.get("key") == key and all((self.out / p).is_file() for p in kept["pictures"].values() if p)
        whole = whole and (bool(kept["pictures"]) or seed != self.bench.seeds[0])
        return key, kept if whole else {}

    def _trained(self, entry: BenchEntry, seed: int, stem: str) -> Any:
        if entry.recipe is None:
            return entry.source
        assert self.recipes
        return str(self.recipes.train(entry.recipe, entry.overrides, seed, self.out / "runs" / stem))

    def _key(self, entry: BenchEntry, identity: str | None, seed: int) -> str:
        bench = self.bench
        judges = [[extractor.id, metrics] for extractor, metrics in self.judges]
        settings = [VERSION, versions(), bench.n, bench.among, judges, seed]
        settings += [computing().precision] if computing().precision != "no" else []
        data = [_content(self.reference), _content(self.training) if self.training is not self.reference else None]
        text = json.dumps([settings, data, entry.name, identity])
        return hashlib.sha256(text.encode()).hexdigest()

    def _score(self, done: int, source: Source, seed: int, stem: str, key: str) -> dict[str, Any]:
        bench, scores = self.bench, list[Any]()
        source = source.over(self.reference)
        folder = self.out / "samples" / stem / key[:12]
        drawn = KeptDraw(source, bench.n, seed, bench.batch_size, folder, self.crew) if source.share else None
        side = drawn.as_source() if drawn else source
        for extractor, metrics in self.judges:
            tell = partial(self._tell_part, done, len(scores))
            found = evaluate(
                side, self.reference, metrics, bench.n, extractor, seed, bench.batch_size, tell, crew=self.crew
            )
            scores.append(self.crew.broadcast(found.to_json()))
        pictures = self._pictures(side, seed, stem) if seed == bench.seeds[0] else {}
        seconds = self.crew.broadcast(None if self.crew.rank else seconds_per_1000(source, seed))
        if drawn:
            drawn.forget()
        return {"scores": scores, "seconds": seconds, "pictures": pictures}

    def _pictures(self, source: Source, seed: int, stem: str) -> dict[str, str | None]:
        samples = first_samples(source, min(SAMPLES, self.bench.n), seed, self.crew)
        made = {f"pictures/{stem}-samples.png": sample_picture(samples)}
        if shown := samples[0].dim() > 1 and len(samples) >= QUERIES:
            n, crew = self.bench.among or self.bench.n, self.crew
            picture = neighbour_picture(samples, self.training, self.judges[0][0], n, seed, crew)
            made[f"pictures/{stem}-neighbours.png"] = picture
        for name, png in made.items() if self.crew.rank == 0 else ():
            write_atomically(self.out / name, png)
        return {"samples": next(iter(made)), "neighbours": list(made)[-1] if shown else None}

    def _tell_part(self, done: int, judged: int, part: int, whole: int) -> None:
        """Progress of one extractor, of which `judged` are done."""
        self._tell(done, judged * whole + part, len(self.judges) * whole)

    def _tell(self, done: int, part: int, whole: int) -> None:
        each = 2 * self.bench.n
        self.progress(done * each + each * part // max(whole, 1), len(self.jobs) * each)

    def _result(self, found: list[list[dict[str, Any]]]) -> dict[str, Any]:
        entries = [
            {
                "name": entry.name,
                "source": entry.source,
                "recipe": entry.recipe,
                "summary": self._summary(runs),
                "cost": entry.cost if entry.cost is not None else runs[0]["seconds"],
                "parameters": runs[0]["parameters"],
                "training": entry.training or runs[0]["training"],
                **runs[0]["pictures"],
                "runs": [run["scores"] for run in runs],
            }
            for entry, runs in zip(self.bench.entries, found, strict=True)
        ]
        scores = [score for runs in found for run in runs for score in run["scores"]]
        warnings = list(dict.fromkeys(warning for score in scores for warning in score["warnings"]))
        return {
            "bench": asdict(self.bench),
            "reference": self.reference.name,
            "extractors": [extractor.describe() for extractor, _ in self.judges],
            "versions": versions(),
            "warnings": warnings,
            "entries": entries,
        }

    def _summary(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        """Score -> its summary; the scores of a further extractor are called by their labels."""
        found = [summarise([run["scores"][i] for run in runs]) for i in range(len(self.judges))]
        return found[0] | {score["label"]: score for others in found[1:] for score in others.values()}


def about_weights(what: Any, source: Source) -> dict[str, Any]:
    """Number of parameters of a generator, and what its card says of its training; None where unknown."""
    if source.generator is None:
        return {"parameters": None, "training": None}
    folder = locate(what)
    header = card_of(folder)[0] if isinstance(folder, Path) else {}
    parameters = sum(p.numel() for p in source.generator.parameters())
    return {"parameters": parameters, "training": header.get("training")}


def _slug(name: str) -> str:
    """Of an entry, for files: its name wherever it stands in the bench, with a mark where that is no name for files."""
    plain = re.sub(r"[^0-9A-Za-z-]+", "-", name)[:40]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _samples(what: Any, role: str) -> Source:
    source = open_source(what, role)
    if isinstance(source, Statistics):
        raise EvaluationError(f"{role}: a bench shows samples, so it takes images or points, not statistics")
    return source


def _content(source: Source) -> str | None:
    return source.fingerprint() if source.fingerprint else None


def _read(path: Path) -> dict[str, Any]:
    """An earlier result; {} when there is none or it is damaged."""
    found = read_mapping(path)
    return found if isinstance(found.get("pictures"), dict) else {}

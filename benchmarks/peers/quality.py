"""Training every arm for the same CPU seconds, and the scores of what it has learned."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.contestant import Arm, Contestant, Images, reseed
from benchmarks.peers.settings import FEW, LONG, MANY, SHELVED
from benchmarks.runs import kept
from genkit.images.pixels import write_folder

Score = Callable[[Tensor], dict[str, float]]
"""Of samples, uint8."""
EVERY = 60.0
"""CPU seconds from one checkpoint to the next."""


class Quality:
    """All trainings of a benchmark, in one process and one after the other.

    Args:
        out: keeps a file of results for each arm, budget and seed, and checkpoints of what is under way.
        images: all that is trained on.
        score: of samples.
        note: told a line for each result.
        clock: CPU seconds of this process.
    """

    def __init__(
        self,
        out: Path,
        images: Images,
        score: Score,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.process_time,
    ):
        self.out, self.images, self.score, self.note, self.clock = out, images, score, note, clock

    def run(self, arms: Sequence[Arm], minutes: Sequence[float], seeds: Sequence[int]) -> None:
        """Measures what is not measured yet; an arm whose package is missing is told and left out."""
        for seed in seeds:
            for arm in arms:
                wanted = [m for m in sorted(minutes) if not result_file(self.out, arm, m, seed).is_file()]
                try:
                    for budgets in [[m] for m in wanted] if arm.planned else [wanted]:
                        self._train(arm, budgets, seed)
                except ImportError as missing:
                    self.note(f"{arm.name}: skipped, {missing.name or missing} is not installed")

    def _train(self, arm: Arm, budgets: Sequence[float], seed: int) -> None:
        """One training that passes through all `budgets`, ascending, in minutes.

        One that is planned begins anew if it was killed: its plan was timed, and would come out otherwise.
        """
        if not budgets:
            return
        reseed(seed)
        contestant = arm.build(self.images, seed, 60 * budgets[-1])
        state = self.out / "under way" / (slug(arm, budgets[-1] if arm.planned else None, seed) + ".pt")
        state.parent.mkdir(parents=True, exist_ok=True)
        resumed = state.is_file() and not arm.planned
        spent = contestant.load(state) if resumed else contestant.spent
        for budget in budgets:
            spent = self._until(contestant, 60 * budget, spent, state)
            random_state = torch.get_rng_state()
            found = kept(
                result_file(self.out, arm, budget, seed),
                lambda b=budget, s=spent: self._scored(arm, contestant, b, s, seed),  # type: ignore[misc]
            )
            torch.set_rng_state(random_state)
            self.note(f"{arm.name}, {budget:g} min, seed {seed}: {line(found)}")
        state.unlink(missing_ok=True)
        gc.collect()

    def _until(self, contestant: Contestant, seconds: float, spent: float, state: Path) -> float:
        """Steps until the budget is spent; the CPU seconds that are spent then, checkpoints not counted."""
        saved = spent
        while spent < seconds and not contestant.done:
            start = self.clock()
            contestant.step()
            spent += self.clock() - start
            if spent - saved >= EVERY:
                contestant.save(state, spent)
                saved = spent
        contestant.save(state, spent)
        return spent

    def _scored(self, arm: Arm, contestant: Contestant, minutes: float, spent: float, seed: int) -> dict[str, Any]:
        reseed(10_000 + seed)
        shelved = arm.n == MANY and minutes >= LONG
        start = self.clock()
        x = contestant.sample(SHELVED if shelved else arm.n)
        sampling = self.clock() - start
        torch.save(x[:64], self.out / f"{slug(arm, None, seed)}-{contestant.steps}.pt")
        if shelved:
            write_folder(x, sample_folder(self.out, arm, minutes, seed))
        return {
            "about": contestant.about,
            "parameters": contestant.parameters,
            "steps": contestant.steps,
            "cpu_seconds": spent,
            "sampling_cpu_seconds": sampling * arm.n / len(x),
            "scores": {str(n): self.score(x[:n]) for n in sorted({FEW, arm.n})},
        }


def line(found: dict[str, Any]) -> str:
    scores = ", ".join(f"FD {s['fd']:.2f} (n = {n})" for n, s in found["scores"].items())
    return f"{found['steps']:,} steps in {found['cpu_seconds']:.0f} CPU s; {scores}; {found['about']}"


def slug(arm: Arm, minutes: float | None, seed: int) -> str:
    name = "".join(c if c.isalnum() else "-" for c in arm.name.replace(", ", " ").replace("'", ""))
    return f"{name}{'' if minutes is None else f'-{minutes:g}min'}-seed{seed}"


def sample_folder(out: Path, arm: Arm, minutes: float, seed: int) -> Path:
    return out / "samples" / slug(arm, minutes, seed)


def result_file(out: Path, arm: Arm, minutes: float, seed: int) -> Path:
    return out / f"{slug(arm, minutes, seed)}.json"

"""Proposals are made once: what was drawn before a stop is found again, and processes share what is to be drawn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genkit.core.catalog import build
from genkit.core.crew import Crew
from genkit.core.interruption import Interrupted
from genkit.posthoc.rejection.kept_proposals import KeptProposals, keeping_proposals
from genkit.posthoc.rejection.rejection import Rejection
from genkit.posthoc.rejection.sampler import BATCH
from tests.contracts.specs import PLAIN_DDPM, RATIO, finished
from tests.posthoc.test_rejection import Known, Real, Wide, rng
from tests.training.tiny import on_processes

N = 4 * BATCH


def drawn(wide: Wide, folder: Path | None = None, seed: int = 0, label: int = 0, stop_after: int = N) -> Tensor:
    """Proposals of `wide`, left for a signal when so many of their batches are read."""
    found = list[Tensor]()

    def read(x: Tensor, condition: Any) -> Tensor:
        if len(found) == stop_after:
            raise Interrupted(15)
        found.append(x)
        return x

    given = {"label": torch.full((N,), label)} if wide.conditions.classes else None
    sampler = Rejection(wide, Known())
    with keeping_proposals(folder) if folder else nullcontext():
        return torch.cat(sampler.read_of_proposed(N, rng(seed), read, "proposals", given=given))


def test_what_was_drawn_before_a_stop_is_not_drawn_again(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        drawn(Wide(), tmp_path, stop_after=2)
    wide = Wide()
    assert drawn(wide, tmp_path).equal(drawn(Wide()))
    assert wide.drawn == BATCH, "of three batches the samples were there"
    drawn(wide, tmp_path)
    assert wide.drawn == BATCH
    drawn(wide)
    assert wide.drawn == BATCH + N, "kept where it was asked for alone"


@pytest.mark.parametrize(
    "other",
    [
        lambda folder: drawn(Wide(mean=1.0), folder),
        lambda folder: drawn(Wide(2), folder),
        lambda folder: drawn(_weighted(2.0), folder),
        lambda folder: drawn(Wide(), folder, seed=1),
    ],
    ids=["settings", "conditions", "weights", "seed"],
)
def test_other_samples_are_not_mistaken_for_them(other: Callable[[Path | None], Tensor], tmp_path: Path) -> None:
    drawn(Wide(), tmp_path)
    drawn(_weighted(1.0), tmp_path)
    drawn(Wide(2), tmp_path, label=1)
    assert other(tmp_path).equal(other(None))


def _weighted(scale: float) -> Wide:
    wide = Scaled()
    wide.scale.fill_(scale)
    return wide


class Scaled(Wide):
    """With a weight."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))

    def forward(self, z: Tensor, condition: Any = None) -> Tensor:
        return self.scale * super().forward(z, condition)


def test_what_is_damaged_is_made_again(tmp_path: Path) -> None:
    whole = drawn(Wide(), tmp_path)
    torn, empty, *_ = files = sorted(tmp_path.iterdir())
    assert len(files) == N // BATCH
    torn.write_bytes(torn.read_bytes()[:-3])
    empty.write_bytes(b"")
    wide = Wide()
    assert drawn(wide, tmp_path).equal(whole) and wide.drawn == 2 * BATCH
    drawn(wide, tmp_path)
    assert wide.drawn == 2 * BATCH


def test_samples_that_a_ratio_is_judged_on_are_kept_too(tmp_path: Path) -> None:
    wide, found = Wide(), []
    with keeping_proposals(tmp_path):
        for _ in range(2):
            found.append(Rejection(wide, Known()).compared(Real(), 600, rng(), lambda x, _: x))
    assert wide.drawn == 600 and found[0][1].equal(found[1][1])


def test_memory_holds_no_more_than_its_room() -> None:
    wide, kept = Wide(), KeptProposals(2 * BATCH)
    for _ in range(2):
        Rejection(wide, Known()).read_of_proposed(N, rng(), lambda x, _: x, "proposals", kept=kept)
    assert wide.drawn == 2 * N - 2 * BATCH


POOL = 600


def pool_drawn() -> dict[str, Any]:
    """The pool of a training against a diffusion, and the samples that this process has made of it."""
    torch.manual_seed(0)
    ddpm = finished({**PLAIN_DDPM, "solver": {"type": "ddim", "steps": "2"}})
    system = build({"type": "keep_training", "generator": ddpm, "ratio": RATIO, "pool": POOL, "samples": 100})
    generator, made = system.rejection.generator, list[int]()
    sample = generator._sample

    def counted(condition: Any, rows: Any) -> Tensor:
        made.append(len(rows))
        return sample(condition, rows)

    generator._sample = counted
    system._draw()
    return {"made": sum(made), "total": system.drawn.double().sum().item(), "first": system.drawn[:, 0, 0, 0].tolist()}


def draw_together(folder: Path) -> None:
    Crew.of_launch()
    (folder / os.environ["RANK"]).write_text(json.dumps(pool_drawn()))


def test_processes_share_a_pool_and_each_has_the_whole(tmp_path: Path) -> None:
    assert on_processes(2, draw_together, tmp_path, tmp_path) == [0, 0]
    one, two = pool_drawn(), [json.loads((tmp_path / rank).read_text()) for rank in "01"]
    assert [each.pop("made") for each in two] == [350, 250] and one.pop("made") == POOL
    assert two == [one, one]

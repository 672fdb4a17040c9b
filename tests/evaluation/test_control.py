"""Control scores of a generator whose images say what they show, so that every number is known."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genkit.core.columns.labels import Labels
from genkit.core.columns.values import Values
from genkit.core.condition import ConditionSpace
from genkit.core.crew import ALONE, Crew
from genkit.core.errors import EvaluationError
from genkit.core.generator import Generator
from genkit.core.randomness import Rows
from genkit.evaluation.control import control_scores
from genkit.evaluation.control_result import disentanglement, unit_of
from tests.training.tiny import on_processes

COLUMNS = {"hue": Values(0, 1, cyclic=True), "size": Values(0, 1), "shape": Labels(3, ["a", "b", "c"])}
NAMES = list(COLUMNS)


def images(values: Tensor) -> Tensor:
    """(n, 3) values in [0, 1] as images of three pixels and one of noise."""
    noise = torch.rand(len(values), 1, generator=torch.Generator().manual_seed(len(values)))
    return 2 * torch.cat([values, noise], 1).view(-1, 1, 2, 2) - 1


class Reader(nn.Module):
    sample_shape = (1, 2, 2)

    def __init__(self, **columns: Any):
        super().__init__()
        self.conditions = ConditionSpace(columns or COLUMNS)
        self.unused = nn.Parameter(torch.zeros(1))

    def predict(self, x: Tensor) -> Mapping[str, Tensor]:
        hue, size, shape, _ = ((x.flatten(1) + 1) / 2).unbind(1)
        return {"hue": hue % 1, "size": size, "shape": (3 * shape).long().clamp(max=2)}


class Painter(Generator):
    """Does as it is asked, but for a hue that is `off`, a size that follows it (`leak`) or is lost where the hue is
    `rare`, and a shape that is often `deaf`."""

    sample_shape = (1, 2, 2)

    def __init__(self, off: float = 0.0, leak: float = 0.0, deaf: float = 0.0, rare: float = 0.0):
        super().__init__()
        self.conditions = ConditionSpace({k: c.left_free() for k, c in COLUMNS.items()})
        self.off, self.leak, self.deaf, self.rare = off, leak, deaf, rare

    def _values(self, rows: Rows) -> Tensor:
        return rows.uniform(3)

    def _sample(self, condition: Mapping[str, Tensor], rows: Rows) -> Tensor:
        values, deaf = self._values(rows), rows.uniform() < self.deaf
        hue, size, shape = (condition[name] for name in NAMES)
        asked = ~hue.isnan()
        values[:, 0] = torch.where(asked, (hue + self.off) % 1, values[:, 0])
        values[:, 1] = torch.where(size.isnan(), values[:, 1], size)
        values[:, 1] = torch.where(asked, (1 - self.leak) * values[:, 1] + self.leak * hue, values[:, 1])
        values[:, 1] = torch.where(asked & (hue < self.rare), 0.0, values[:, 1])
        values[:, 2] = torch.where((shape < 0) | deaf, values[:, 2], (shape + 0.5) / 3)
        return images(values)

    def drawn(self, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        values = self._values(Rows(n, rng))
        return values, images(values)

    def with_slice(self, name: str, w: Tensor, rng: torch.Generator) -> Tensor:
        values = self._values(Rows(len(w), rng))
        values[:, NAMES.index(name)] = w[:, NAMES.index(name)]
        return images(values)


class Real:
    name, fingerprint, sample_shape = "real", "0", (1, 2, 2)

    def __init__(self, says: tuple[str, ...] = tuple(NAMES), n: int = 1200):
        rng = torch.Generator().manual_seed(7)
        self.values = torch.rand(n, 3, generator=rng)
        self.values[:, 2] = (torch.multinomial(torch.tensor([0.5, 0.25, 0.25]), n, True, generator=rng) + 0.5) / 3
        self.says = says

    def __len__(self) -> int:
        return len(self.values)

    def stored(self, index: torch.Tensor) -> torch.Tensor:
        return self.rows(index)

    def rows(self, index: Tensor) -> Tensor:
        return images(self.values[index])

    def condition(self, index: Tensor) -> dict[str, Tensor]:
        read = Reader().predict(images(self.values[index]))
        return {name: read[name] for name in self.says}

    def remarks(self) -> list[str]:
        return []


def test_one_that_does_as_it_is_asked() -> None:
    found = control_scores(Painter(), Reader(), Real(), n=1000)
    for name, each in found.attributes.items():
        assert max(each.errors[kind].value for kind in ("real", "own", "judge")) < 1e-3
        assert set(each.drift.values()) == {0.0} and each.errors["nearest"].value < (3 if name == "hue" else 0.02)
    hue, size, shape = (found.attributes[name] for name in NAMES)
    assert [each.unit for each in (hue, size, shape)] == ["deg", "sd", "%"]
    assert hue.errors["chance"].value == pytest.approx(90, rel=0.1)
    assert size.errors["chance"].value == pytest.approx(12**0.5 / 3, rel=0.1)
    assert shape.errors["chance"].value == pytest.approx(100 * (1 - 0.25 - 2 * 0.0625), rel=0.1)
    assert shape.classes["a"] == pytest.approx((0.5, 1 / 3), abs=0.05)
    assert 0.6 < hue.diversity < 0.95 and hue.disentanglement > 1e4 and not found.warnings


def test_errors_drift_and_the_units_they_are_told_in() -> None:
    found = control_scores(Painter(off=0.02, leak=0.25, deaf=0.3), Reader(), Real(), n=1000)
    hue, size, shape = (found.attributes[name] for name in NAMES)
    assert [hue.errors[kind].value for kind in ("real", "own")] == pytest.approx([7.2, 7.2], abs=1e-3)
    assert hue.errors["real"].error < 1e-3 and hue.errors["nearest"].value < 3
    assert hue.drift["size"] == pytest.approx(0.25, rel=0.1) and hue.drift["shape"] == 0
    assert size.errors["real"].value < 1e-3 and size.drift == {"hue": 0, "shape": 0}
    share = 0.3 * 2 / 3
    assert shape.errors["real"].value == pytest.approx(100 * share, rel=0.2)
    assert shape.errors["real"].error == pytest.approx(100 * (share * (1 - share) / 1000) ** 0.5, rel=0.1)
    assert hue.disentanglement == pytest.approx(1 / 0.25 * 1 * 1000, rel=0.2), "hue 1, size 0.25, shape nothing"


def test_disentanglement_is_by_deviations_as_published() -> None:
    """A size that is lost for one hue in ten moves rarely, and far: by the mean it would be half as much."""
    found = control_scores(Painter(rare=0.1), Reader(), Real(), n=1000).attributes["hue"]
    deviation = (2 * 0.1 * 0.9 / 3) ** 0.5 / (1 / 6) ** 0.5
    assert found.disentanglement == pytest.approx(1 / deviation * 1000, rel=0.15)


def test_the_same_seed_gives_the_same_numbers_and_values_that_data_do_not_say_are_read() -> None:
    one, two = (control_scores(Painter(off=0.1), Reader(), Real(("hue",)), n=300, seed=2) for _ in range(2))
    assert one.attributes == two.attributes and one.n == 300
    assert control_scores(Painter(off=0.1), Reader(), Real(), n=300, seed=3).attributes != one.attributes
    assert "judge" in one.attributes["hue"].errors and "judge" not in one.attributes["size"].errors
    assert one.warnings == ["the data do not say size, shape: what the judge sees in them stands in"]
    assert one.to_json()["attributes"]["hue"]["errors"]["real"]["value"] == pytest.approx(36, abs=1e-2)


def test_progress_ends_at_its_total() -> None:
    seen: list[tuple[int, int]] = []
    control_scores(Painter(), Reader(), Real(), n=300, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (300 * 15, 300 * 15)


@pytest.mark.parametrize(
    ("generator", "judge", "told"),
    [
        (nn.Identity(), Reader(), "an Identity has no controls"),
        (Painter(), nn.Identity(), "--judge: an Identity reads no attributes"),
        (
            Painter(),
            Reader(age=Values(0, 99)),
            "--judge: it reads age, and the generator is asked for hue, size, shape",
        ),
        (Painter(), Reader(shape=Labels(4)), "it reads 4 classes of 'shape', and the generator takes 3 classes"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(generator: Any, judge: Any, told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        control_scores(generator, judge, Real())


def test_units_and_the_score_of_disentanglement() -> None:
    values = torch.tensor([0.0, 2.0, 4.0])
    assert unit_of(Values(0, 4, cyclic=True), values) == ("deg", 90.0)
    assert unit_of(Values(0, 9), values) == ("sd", 0.5) and unit_of(Labels(2), values) == ("%", 100.0)
    assert disentanglement("a", {"a": 0.5, "b": 0.1, "c": 0.0}, 100) == pytest.approx(0.5 / 0.1 * 0.5 / 0.01)


def scored_together(folder: Path) -> None:
    found = control_scores(Painter(off=0.1, leak=0.2), Reader(), Real(("hue",)), n=700, crew=Crew.of_launch())
    (folder / os.environ["RANK"]).write_text(json.dumps(found.to_json()))


def test_two_processes_make_half_the_images_each_and_find_what_one_finds(tmp_path: Path) -> None:
    assert on_processes(2, scored_together, tmp_path, tmp_path) == [0, 0]
    one = json.loads(json.dumps(control_scores(Painter(off=0.1, leak=0.2), Reader(), Real(("hue",)), n=700).to_json()))
    for rank in "01":
        found = json.loads((tmp_path / rank).read_text())
        assert {**found, "seconds": 0} == {**one, "seconds": 0}


class Half(Crew):
    """One of two processes, which waits for nobody: it takes its own batches for those of both."""

    def exchanged(self, piece: Any) -> list[Any]:
        return [piece, {k + 1 - 2 * self.rank: made for k, made in piece.items()}]


def test_a_process_of_two_makes_half_of_the_images() -> None:
    counts = []
    for crew in (ALONE, Half(0, 2)):
        painter, made = Painter(), [0]
        honest = painter._values

        def counted(rows: Rows, honest: Any = honest, made: list[int] = made) -> Tensor:
            made[0] += len(rows.seeds)
            return honest(rows)

        painter._values = counted  # type: ignore[method-assign]
        control_scores(painter, Reader(), Real(), n=1000, crew=crew)
        counts.append(made[0])
    assert counts[1] == counts[0] / 2

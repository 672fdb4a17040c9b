"""Progress from Python: a bar on a terminal, a line in a notebook, one at a time, and nothing at all elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from genkit import evaluate, train
from genkit.cli import console
from genkit.core import display
from genkit.core.display import Silent, bar, reporting, rows_watched
from genkit.data.digits import digits
from genkit.training.recipe import Recipe
from tests.contracts.specs import DDPM, seeded

Capture = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def shows(self, work: Callable[[], object]) -> str:
        """Everything that `work` writes there."""
        before = len(self.getvalue())
        with redirect_stdout(self):
            work()
        return self.getvalue()[before:]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal, on which everything is worth a bar."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(display, "PATIENCE_S", -1.0)
    return Terminal()


def recipe() -> Recipe:
    return Recipe.load(
        "digits/wgan_ratio_clipping", ["train.steps=2", "train.batch_size=4", "evaluate=null", "every.grid=0"]
    )


def test_training_is_shown(terminal: Terminal, tmp_path: Path) -> None:
    shown = terminal.shows(lambda: train(recipe(), tmp_path / "shown"))
    assert "training" in shown and "2/2" in shown
    assert not terminal.shows(lambda: train(recipe(), tmp_path / "silent", progress=False))


def score(progress: bool = True) -> None:
    x = digits().x
    evaluate([x[:8]], [x[8:16]], ["fd"], n=8, use_cache=False, progress=progress)


def test_scoring_is_shown(terminal: Terminal) -> None:
    shown = terminal.shows(score)
    assert "features" in shown and "16/16" in shown
    assert not terminal.shows(lambda: score(progress=False))


def test_steps_of_a_diffusion_are_shown(terminal: Terminal) -> None:
    model = seeded({**DDPM, "solver": {"type": "ancestral", "steps": "3"}})
    watch, made = model.watch, list[torch.Tensor]()

    def draw(progress: bool) -> None:
        made.append(model.sample(2, rng=torch.Generator().manual_seed(0), progress=progress))

    assert not terminal.shows(lambda: draw(False))
    shown = terminal.shows(lambda: draw(True))
    assert "sampling" in shown and "3/3" in shown
    assert made[0].equal(made[1]) and model.watch is watch


def test_steps_count_as_parts_of_their_batch_and_no_callback_is_left_behind() -> None:
    model, seen = seeded({**DDPM, "solver": {"type": "ancestral", "steps": "2"}}), list[tuple[int, int]]()
    watch = model.watch
    with rows_watched(lambda *at: seen.append(at), model, 6, 4) as rows:
        model.watch(1, 2)
        rows(4, 6)
        model.watch(1, 2)
        model.watch(2, 2)
    assert seen == [(2, 6), (4, 6), (5, 6)] and model.watch is watch


def test_nothing_is_shown_without_a_terminal(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "PATIENCE_S", -1.0)
    train(recipe(), tmp_path / "run")
    seeded({**DDPM, "solver": {"type": "ancestral", "steps": "3"}}).sample(2)
    score()
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_a_bar_within_another_is_silent(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        with bar() as outer, bar() as inner:
            assert isinstance(inner, Silent) and not isinstance(outer, Silent)
        with bar() as again:
            assert not isinstance(again, Silent)


def work() -> None:
    with reporting(True, "work", "step") as tell:
        tell(1, 2)


def test_work_is_shown(terminal: Terminal) -> None:
    assert "1/2" in terminal.shows(work)


def test_short_work_has_no_bar(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "PATIENCE_S", 60.0)
    assert not terminal.shows(work)


def test_other_processes_show_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not terminal.shows(work)


class Cell:
    """A stand-in for IPython in a kernel: the states of a cell's output, and of its line."""

    def __init__(self) -> None:
        self.states, self.notes = list[str](), list[str]()

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool = False) -> Cell:
        assert raw
        (self.states if display_id else self.notes).append(data["text/plain"])
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.states.append(data["text/plain"])


def test_in_a_notebook_a_line_is_written_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    cell = Cell()
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel="there"))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=cell.display))
    train(recipe(), tmp_path / "run")
    assert cell.states[0] == "" and cell.states[-1].startswith("training 2/2")
    (tmp_path / "run" / "report.html").unlink()
    train(recipe(), tmp_path / "run", resume=True)
    assert any(note.startswith("resumed from") for note in cell.notes)
    train(recipe(), tmp_path / "silent", progress=False)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    train(recipe(), tmp_path / "elsewhere")
    assert sum(state == "" for state in cell.states) == 2 and not capsys.readouterr().out


class Hours:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_the_pace_of_work_that_begins_anew_is_its_own(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of what came between: a picture of 6 s, drawn twice, 50 s apart, and scores of 4 samples likewise."""
    hours = Hours()
    monkeypatch.setattr(display, "time", hours)
    monkeypatch.setattr(console, "time", hours)
    lines = console.Lines(every=5.0)
    for _ in range(2):
        hours.now += 20
        for what, total in (("drawing samples", 1), ("scoring", 4)):
            for done in range(total + 1):
                lines.advance(what, "sample", done, total)
                hours.now += 6
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("drawing")] == ["drawing samples ...", "drawing samples: done"] * 2
    assert [line for line in said if line.endswith("ETA 0:00")] == ["scoring 4/4  100%  6.0 s/sample  ETA 0:00"] * 2

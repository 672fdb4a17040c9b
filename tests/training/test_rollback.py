"""Going back from a bad state: exact through kills, on two processes, and at its end."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.run_contents import contents
from genkit.core.errors import BadState, RecipeError
from genkit.training import checkpoint, show, train
from genkit.training import run as training
from genkit.training.checkpoint import complete, step_of
from genkit.training.recipe import Recipe, Rollback
from genkit.training.rollback import Fall, advised, falls_of, last_fall
from genkit.training.run_folder import RunFolder
from genkit.training.trainer import Trainer
from tests.training.test_faults import kill_once
from tests.training.tiny import drain, images, on_processes, points, start, wait_for

EVERY = {"log": 2, "grid": 0, "checkpoint": 4, "keep": 3}
RECIPE = points(20, clipped=False, rollback={"lr": 0.5}, every=EVERY)
FALLS = {1.0: 10, 0.5: 11, 0.25: 15}
"""At which iteration a state is bad, by what the rates are multiplied by."""


def falling(falls: dict[float, int] = FALLS) -> None:
    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        if falls.get(self.slower) == self.step:
            raise BadState("it looks bad")
        return honest(self)

    Trainer.iterate = iterate  # type: ignore[method-assign]


def stopping(at: int) -> None:
    """SIGTERM in the iteration that ends as number `at`."""
    falling()
    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        if self.step == at - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return honest(self)

    Trainer.iterate = iterate  # type: ignore[method-assign]


def trained(recipe: Recipe, out: Path, patch: Callable[[], None] | None = falling) -> int | None:
    process, pipe = start(recipe, out, patch)
    return drain(pipe, process)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rollback") / "run"
    assert trained(RECIPE, out) == 0
    return out


def test_a_run_goes_back_more_slowly_and_gives_up_where_it_falls_twice(undisturbed: Path) -> None:
    falls = falls_of(undisturbed / "checkpoints")
    assert [(fall["at"], fall["to"]) for fall in falls] == [(10, 8), (11, 4), (15, 12)]
    assert {fall["why"] for fall in falls} == {"it looks bad"}
    state = json.loads((complete(undisturbed / "checkpoints")[-1] / "state.json").read_text())
    rate = state["optimizers"]["items"][0][1]["items"]
    assert "0.00025" in json.dumps(rate), "2e-3 / 8"
    steps = [row["step"] for row in contents(undisturbed)["metrics"] if "critic/loss" in row]
    assert steps == list(range(2, 21, 2)), "what was given up is not in the log"
    went = [(row["step"], row["rollback/rates"]) for row in contents(undisturbed)["metrics"] if "rollback/rates" in row]
    assert went == [(4, 0.25), (12, 0.125)], "that of iteration 8 was given up with it"
    page = (undisturbed / "report.html").read_text()
    assert "3 times, learning rates x 0.125" in page
    assert "back from iteration 11 to 4" in page


def falling_at_one_place() -> None:
    """Bad from iteration 14 on until the rates are low enough: what was learned before is to blame."""
    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        if self.step >= 14 and self.slower > 0.05:
            raise BadState("it looks bad")
        return honest(self)

    Trainer.iterate = iterate  # type: ignore[method-assign]


def test_falls_at_one_place_go_back_ever_further(tmp_path: Path) -> None:
    assert trained(RECIPE, tmp_path / "run", falling_at_one_place) == 0
    assert [(fall["at"], fall["to"]) for fall in falls_of(tmp_path / "run" / "checkpoints")] == [
        (14, 12), (14, 8), (14, 4), (14, 4), (14, 4),
    ]  # fmt: skip


def test_a_run_that_is_killed_goes_the_same_ways(undisturbed: Path, tmp_path: Path) -> None:
    rng, kills = random.Random(5), 0
    kill = partial(kill_once, RECIPE, tmp_path / "run", rng, patch=falling)
    while kills < 6 and kill(early=kills % 3 == 2):
        kills += 1
    assert trained(RECIPE, tmp_path / "run") == 0
    assert kills > 1
    assert contents(tmp_path / "run") == contents(undisturbed)


def test_a_run_that_is_asked_to_stop_goes_the_same_ways(undisturbed: Path, tmp_path: Path) -> None:
    """Where it was stopped there is a checkpoint that an undisturbed run has not: no fall ends there."""
    for at in (9, 10, 14):
        process, pipe = start(RECIPE, tmp_path / "run", partial(stopping, at))
        assert drain(pipe, process) == 128 + signal.SIGTERM
        assert complete(tmp_path / "run" / "checkpoints")[-1].name == f"step-{at:08d}"
    assert trained(RECIPE, tmp_path / "run") == 0
    assert contents(tmp_path / "run") == contents(undisturbed)


def test_a_resume_that_forgot_would_be_noticed(undisturbed: Path, tmp_path: Path) -> None:
    """Rates that go back to the recipe's make other weights."""
    recipe, out = points(20, clipped=False, every=EVERY), tmp_path / "run"
    assert trained(recipe, out, None) == 0
    assert contents(out)["weights"] != contents(undisturbed)["weights"]


def die_while_replacing(moved_aside: bool) -> None:
    """SIGKILL instead of a rename of a checkpoint that is written again: of the old one, or after it of the new one."""
    falling()
    honest, aside = os.rename, list[str]()

    def rename(a: Any, b: Any) -> None:
        if str(b).endswith(".old"):
            aside.append(str(b))
        if aside and (not moved_aside or not str(b).endswith(".old")):
            os.kill(os.getpid(), signal.SIGKILL)
        honest(a, b)

    checkpoint.os.rename = rename  # type: ignore[attr-defined]


@pytest.mark.parametrize("moved_aside", [False, True])
def test_a_kill_while_a_checkpoint_is_replaced_loses_nothing(
    moved_aside: bool, undisturbed: Path, tmp_path: Path
) -> None:
    assert trained(RECIPE, tmp_path / "run", partial(die_while_replacing, moved_aside)) == -signal.SIGKILL
    there = {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()}
    assert (".step-00000008.old" in there) == moved_aside
    process, pipe = start(RECIPE, tmp_path / "run", falling)
    assert wait_for(pipe, "note") == "resumed from step-00000008"
    assert drain(pipe, process) == 0
    assert contents(tmp_path / "run") == contents(undisturbed)


def die_at_the_second_fall(written: bool) -> None:
    """SIGKILL when its target is there again, `written` anew, or when it is about to be."""
    falling()
    honest, targets = {name: getattr(training, name) for name in ("remove_after", "prune")}, list[str]()

    def remove_after(target: Path) -> None:
        honest["remove_after"](target)
        targets.append(target.name)
        if len(targets) == 2 and not written:
            os.kill(os.getpid(), signal.SIGKILL)

    def prune(newest: Path, *others: Any) -> None:
        if len(targets) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        honest["prune"](newest, *others)

    training.remove_after, training.prune = remove_after, prune  # type: ignore[attr-defined]


@pytest.mark.parametrize("written", [False, True])
def test_a_kill_in_a_fall_beyond_the_newest_changes_nothing(written: bool, undisturbed: Path, tmp_path: Path) -> None:
    """What was given up must be gone before the target knows of the fall, or a resumed run falls once more."""
    assert trained(RECIPE, tmp_path / "run", partial(die_at_the_second_fall, written)) == -signal.SIGKILL
    assert [step_of(path) for path in complete(tmp_path / "run" / "checkpoints")][-1] == 4
    assert len(falls_of(tmp_path / "run" / "checkpoints")) == (2 if written else 0)
    assert trained(RECIPE, tmp_path / "run") == 0
    assert contents(tmp_path / "run") == contents(undisturbed)


def two(recipe: Recipe, out: Path) -> None:
    falling()
    train(recipe, out)


def test_two_processes_go_back_together(undisturbed: Path, tmp_path: Path) -> None:
    assert on_processes(2, two, tmp_path, RECIPE, tmp_path / "run") == [0, 0]
    assert falls_of(tmp_path / "run" / "checkpoints") == falls_of(undisturbed / "checkpoints")


def test_without_the_section_it_is_an_error_that_names_it(tmp_path: Path) -> None:
    sgd = {"type": "sgd", "lr": 1e20}
    recipe = points(20, clipped=False, optimizers={"critic": sgd, "generator": sgd})
    with pytest.raises(BadState, match=r"not finite .* --resume rollback\.lr=0\.5$"):
        train(recipe, tmp_path / "run")


def test_the_end_of_a_run_is_told_with_its_iteration_and_what_to_do() -> None:
    told = "iteration 1,204: the energy runs away, or go on with --resume rollback.lr=0.5"
    assert str(advised(BadState("the energy runs away"), 1204, None)) == told
    assert str(advised(BadState("not finite", 7), 8, None)).startswith("iteration 7: not finite, or go on")
    assert str(advised(BadState("the energy runs away"), 1204, Rollback())) == "the energy runs away"
    fall = Fall(at=7, to=4, lr=0.5, why="not finite")
    assert last_fall([fall], Rollback()).startswith("iteration 7: not finite; back to iteration 4, on with")


def test_a_run_that_never_left_its_start_hands_nothing_over(tmp_path: Path) -> None:
    sgd = {"type": "sgd", "lr": 1e20}
    sections: dict[str, Any] = {"optimizers": {"critic": sgd, "generator": sgd}, "every": EVERY}
    recipe, run = points(20, clipped=False, rollback={"lr": 0.5, "at_most": 2}, **sections), tmp_path / "run"
    for resume in (False, True):
        with pytest.raises(BadState, match=r"nothing was learned: the run went back 3 times.*lower learning rates"):
            train(recipe, run, resume=resume)
        assert [fall["to"] for fall in falls_of(run / "checkpoints")] == [0, 0, 0]
        assert not RunFolder(run).finished(recipe) and not RunFolder(run).weights.exists()
    longer = points(20, clipped=False, rollback={"lr": 1e-24, "at_most": 4}, **sections)
    train(longer, run, resume=True)
    assert contents(run)["newest"] == "step-00000020", "more was allowed"


def poisoned() -> None:
    honest = Trainer.iterate

    def iterate(self: Trainer) -> Any:
        scalars = honest(self)
        if self.slower == 1 and self.step == 8:
            next(self.system.parameters()).data.fill_(float("nan"))
        return scalars

    Trainer.iterate = iterate  # type: ignore[method-assign]


def test_non_finite_weights_are_gone_back_from(tmp_path: Path) -> None:
    assert trained(RECIPE, tmp_path / "run", poisoned) == 0
    assert [(fall["at"], fall["to"]) for fall in falls_of(tmp_path / "run" / "checkpoints")] == [(8, 4)]


def not_finite(at: int = 9, stop_after: int = -1) -> None:
    """The loss of iteration `at` is nan at first rates; SIGTERM in iteration `stop_after`."""
    honest, iterate = Trainer._descend, Trainer.iterate

    def descend(self: Trainer, *given: Any) -> Any:
        report = honest(self, *given)
        bad = self.step == at and self.slower == 1
        return {name: value * float("nan") for name, value in report.items()} if bad else report

    def stopped(self: Trainer) -> Any:
        if self.step == stop_after and self.slower == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return iterate(self)

    Trainer._descend, Trainer.iterate = descend, stopped  # type: ignore[method-assign]


SELDOM = points(20, clipped=False, rollback={"lr": 0.5}, every={"log": 7, "grid": 6, "checkpoint": 4, "keep": 3})


@pytest.mark.parametrize("stop_after", [9, 10])
def test_a_loss_that_is_not_finite_is_gone_back_from_as_of_when_it_came(stop_after: int, tmp_path: Path) -> None:
    """Noticed late, but at whatever is made next; a run that is stopped before leaves no checkpoint of it."""
    assert trained(SELDOM, tmp_path / "straight", not_finite) == 0
    (fall,) = falls_of(tmp_path / "straight" / "checkpoints")
    assert (fall["at"], fall["to"]) == (9, 8) and fall["why"].startswith("the critic's loss is not finite")
    assert "loss nan" in fall["why"]
    assert trained(SELDOM, tmp_path / "run", partial(not_finite, stop_after=stop_after)) == 128 + signal.SIGTERM
    assert trained(SELDOM, tmp_path / "run", not_finite) == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "straight")


def test_nothing_is_made_of_a_state_that_is_not_finite(tmp_path: Path) -> None:
    recipe = points(20, clipped=False, every={"log": 20, "grid": 6, "checkpoint": 4, "keep": 9})
    assert trained(recipe, tmp_path / "run", not_finite) == 1
    assert [p.name for p in complete(tmp_path / "run" / "checkpoints")] == ["step-00000004", "step-00000008"]
    assert [p.name for p in (tmp_path / "run" / "grids").iterdir()] == ["00000006.png"]
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == ""


def two_not_finite(recipe: Recipe, out: Path) -> None:
    """In the first process alone."""
    if os.environ["RANK"] == "0":
        not_finite()
    train(recipe, out)


def test_what_is_not_finite_in_one_process_is_told_by_both(tmp_path: Path) -> None:
    assert on_processes(2, two_not_finite, tmp_path, SELDOM, tmp_path / "run") == [0, 0]
    (fall,) = falls_of(tmp_path / "run" / "checkpoints")
    assert (fall["at"], fall["to"]) == (9, 8) and "loss nan" in fall["why"]


def scored_by_step(best: int) -> None:
    """The scores of a run are how far it is from iteration `best`."""

    def scores(self: Any, product: Any, seed: int, watcher: Any, crew: Any) -> dict[str, Any]:
        step = round(float(product.network.said))
        return {"values": {"fd": abs(step - best)}, "better": {"fd": "lower"}, "seed": seed}

    show.Scoring.scores = scores  # type: ignore[method-assign]
    averaged = Trainer.averaged

    def saying(self: Trainer) -> Any:
        product = averaged(self)
        product.network.said = self.step
        return product

    Trainer.averaged = saying  # type: ignore[method-assign]


SELECTED = images(20, evaluate={"metrics": ["fd"], "n": 20, "select": True}, every={**EVERY, "evaluate": 3, "keep": 1})


@pytest.mark.parametrize("best", [9, 20])
def test_the_best_checkpoint_is_what_is_left(best: int, tmp_path: Path) -> None:
    out, plain = tmp_path / "run", tmp_path / "plain"
    assert trained(SELECTED, out, partial(scored_by_step, best)) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert scores["values"] == {"fd": 0}
    assert scores["seed"] != SELECTED.train.seed, "by other noise than chose it"
    shorter = images(best, every=EVERY)
    assert trained(shorter, plain, None) == 0
    assert contents(out)["weights"] == contents(plain)["weights"]
    before = contents(out)
    assert trained(SELECTED, out, partial(scored_by_step, best)) == 0
    assert contents(out) == before, "resumed at its end"


def two_selecting(out: Path) -> None:
    scored_by_step(9)
    train(SELECTED, out)


def test_two_processes_select_together(tmp_path: Path) -> None:
    assert on_processes(2, two_selecting, tmp_path, tmp_path / "run") == [0, 0]
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["values"] == {"fd": 0}


def unshowable(what: str) -> None:
    """What is shown of iterations from 11 on is no image until the rates are halved."""
    honest = getattr(show.Show, what)

    def shown(self: Any, *given: Any) -> Any:
        def work(product: Any, crew: Any) -> str:
            if self.trainer.slower == 1 and self.trainer.step > 10:
                raise BadState("it cannot be shown")
            return ""

        self.to(work, given[1] if what == "picture" else given[0])
        return honest(self, *given)

    setattr(show.Show, what, shown)


def two_unshowable(what: str, recipe: Recipe, out: Path) -> None:
    unshowable(what)
    train(recipe, out)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("what", "every"), [("picture", {}), ("picture", {"grid": 6}), ("scores", {"evaluate": 6})])
def test_what_cannot_be_shown_is_gone_back_from(
    what: str, every: dict[str, int], processes: int, tmp_path: Path
) -> None:
    """At the end of the training, where there are checkpoints of it already, and on the way."""
    recipe = images(20, rollback={}, every={**EVERY, **every}, evaluate={"metrics": ["fd"], "n": 20})
    codes = on_processes(processes, two_unshowable, tmp_path, what, recipe, tmp_path / "run")
    assert codes == [0] * processes
    falls = [(fall["at"], fall["to"]) for fall in falls_of(tmp_path / "run" / "checkpoints")]
    assert falls == ([(12, 8)] if every else [(20, 20)])
    assert RunFolder(tmp_path / "run").finished(recipe)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"lr": 0}, r"^rollback\.lr: "),
        ({"lr": 1}, r"^rollback\.lr: input should be less than 1, got 1$"),
        ({"lr": 2}, r"^rollback\.lr: "),
        ({"at_most": 0}, r"^rollback\.at_most: "),
        ({"rate": 0.5}, r"^rollback\.rate: "),
        (3, "^rollback: needs a mapping"),
    ],
)
def test_a_wrong_section_is_one_line(section: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_dict({**RECIPE.to_dict(), "rollback": section})

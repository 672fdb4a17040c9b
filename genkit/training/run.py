"""A run from a recipe: train, look, score, checkpoint, resume, stop when asked, and leave a folder one can trust."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from genkit.core.crew import Crew
from genkit.core.documents import json_of_result
from genkit.core.errors import BadState
from genkit.core.files import write_atomically
from genkit.core.interruption import Interrupted, StopFlag, Stopped, stop_flag
from genkit.core.pretrained import save_products
from genkit.core.randomness import stable_seed
from genkit.training.best import Best, best_known, best_name, keep_apart
from genkit.training.checkpoint import load_checkpoint, prune, remove_after
from genkit.training.data_record import data_record
from genkit.training.engine import asked_to_stop, from_main, trackers_of
from genkit.training.files_table import write_files_table
from genkit.training.log import MetricsLog, Window
from genkit.training.preparation import prepare_run
from genkit.training.recipe import Recipe, Rollback
from genkit.training.remarks import remarks
from genkit.training.report import renewed, write_report
from genkit.training.rollback import Fall, advised, check_learned, ended, good_before, last_fall, slower
from genkit.training.run_card import write_card
from genkit.training.run_folder import RunFolder
from genkit.training.saving import Saving
from genkit.training.show import Show
from genkit.training.start import start_from
from genkit.training.watcher import Watcher

PATIENCE_S = 8.0
"""Seconds that a signal waits for the end of an iteration; then the run ends at its last checkpoint."""


class Run:
    """One run in one process."""

    def __init__(self, recipe: Recipe, folder: RunFolder, accelerator: Accelerator, watcher: Watcher):
        self.recipe, self.folder, self.accelerator, self.watcher = recipe, folder, accelerator, watcher
        self.main = accelerator.is_main_process
        self.data, self.trainer, scoring = prepare_run(recipe, accelerator)
        self.window, self.log, self.started = Window(), MetricsLog(folder.metrics), ""
        self.saving = Saving(accelerator)
        self.show = Show(recipe, self.trainer, accelerator, watcher, self.log, scoring, self.data)
        self.best: Best | None = None
        self.falls: Sequence[Fall] = []
        self.due: Sequence[str] = ()
        self.changes: Sequence[str] = ()
        self.fingerprint: str | None = None

    def go(self, resume: bool, last: bool = True) -> None:
        if self.recipe.train.threads:
            torch.set_num_threads(self.recipe.train.threads)
        with torch.random.fork_rng(devices=[]), stop_flag() as stop:
            try:
                self._start(resume)
                while not self._reaches_the_end(stop):
                    pass
            finally:
                self.saving.close()
                self.trainer.stream.close()
                if last:
                    self.accelerator.end_training()
                for tracker in self.accelerator.trackers if not last else ():
                    tracker.finish()

    @property
    def _best_here(self) -> str:
        return best_name(self.trainer.step, len(self.falls))

    @property
    def _over(self) -> bool:
        return self.trainer.step >= self.trainer.steps or ended(self.falls, self.recipe.rollback)

    def _reaches_the_end(self, stop: StopFlag) -> bool:
        """False where it has gone back instead. Raises BadState where the recipe does not, or not so often."""
        try:
            if self.due and not self._over:
                self._look(self.due, stop)
                self._checkpoint()
            while not self._over:
                self._iterate(stop)
            self._finish(stop)
        except BadState as fault:
            self.saving.wait()
            if (rule := self.recipe.rollback) is None or ended(self.falls, rule):
                raise advised(fault, self.trainer.step, rule) from None
            self._go_back(fault, rule)
            return False
        return True

    def _go_back(self, fault: BadState, rule: Rollback) -> None:
        """Goes back to the last good checkpoint, which is written anew, so that a resumed run knows of it."""
        good = good_before(self.folder.checkpoints, self.falls, self.watcher.note) if self.main else ""
        falls, best, at = self.falls, self.best, self.trainer.step if fault.step is None else fault.step
        lines = self._load(Path(from_main(self.accelerator, str(good))))
        fall = Fall(at=at, to=self.trainer.step, lr=rule.lr, why=fault.why)
        self.best, self.due, self.falls = best, (), [*falls, fall]
        self.trainer.slower = slower(self.falls)
        if self.main:
            remove_after(Path(good))
            self.folder.discard_results()
            self.log.rewind(lines)
            self.log.write(self.trainer.step, {"rollback/rates": self.trainer.slower})
        self.watcher.note(last_fall(self.falls, rule))
        self._checkpoint()

    def _iterate(self, stop: StopFlag) -> None:
        """One iteration, then log, pictures, scores and checkpoint if due; the last scores are left to `_finish`."""
        every, steps = self.recipe.every, self.trainer.steps
        try:
            with stop.within(PATIENCE_S):
                scalars = self.trainer.iterate()
        except Interrupted:
            raise Stopped(stop.number, self.trainer.step, midway=True) from None
        self.window.add(scalars)
        step = self.trainer.step
        intervals = {"log": every.log, "grid": every.grid, "scores": every.evaluate if step < steps else 0}
        due = [what for what, interval in intervals.items() if interval and step % interval == 0]
        if due or step == steps:
            self.trainer.check()
        self._tell(step, write="log" in due or step == steps)
        self._look([what for what in due if what != "log"], stop)
        if asked_to_stop(self.accelerator, stop):
            raise self._stopped(stop)
        if self._planned:
            self._checkpoint()

    def _start(self, resume: bool) -> None:
        for line in remarks(self.recipe, self.data):
            self.watcher.note(line)
        found = self.folder.go_on_from(resume, self.watcher.note) if self.main else None
        found = Path(path) if (path := from_main(self.accelerator, str(found or ""))) else None
        lines = self._load(found) if found else 0
        if resume:
            self.watcher.note(f"resumed from {found.name}" if found else "no checkpoint: starting from the beginning")
        if self.main:
            self._compare(found)
            self.log.rewind(lines)
        for name in self.recipe.train.trackers:
            if name not in trackers_of(self.recipe):
                self.watcher.note(f"{name} is not installed, metrics go to {self.folder.metrics.name} alone")
        for line in self.data.remarks():
            self.watcher.note(line)
        if self.main and write_files_table(self.folder.files, self.data):
            self.watcher.note(f"{self.data.name}: every file, and what became of it: {self.folder.files}")
        if self.accelerator.log_with:
            self.accelerator.init_trackers("tensorboard")
        if not found and (source := self.folder.start_again()):
            self.watcher.note(self.started or start_from(source, self.trainer, self.watcher.note))
        if not found and (source or self.recipe.rollback):
            self._checkpoint()
        if self.main:
            renewed(lambda: self.show.real(self.folder.real), self.watcher.note, "the picture of real images")
            self._report()

    def _compare(self, found: Path | None) -> None:
        """Compares data, recipe and environment with those of the run so far.

        Raises:
            CheckpointError: other data.
        """
        record = data_record(self.data)
        self.folder.check_data(record, self.fingerprint if found else None)
        self.fingerprint = record["fingerprint"]
        facts = {"processes": self.accelerator.num_processes, "seed": self.recipe.train.seed, "data": record["name"]}
        facts["classes"] = record["classes"]
        for line in self.folder.remember(self.trainer.step, facts, self.changes):
            self.watcher.note(line)
        self.folder.keep(self.recipe)
        if self.folder.discard_results() and self.trainer.step < self.trainer.steps:
            self.watcher.note(f"goes on after iteration {self.trainer.step:,}, whose weights and scores are not kept")

    def _load(self, found: Path) -> int:
        """Restores everything from checkpoint `found`; returns the number of lines that the log had then."""
        state = load_checkpoint(self.trainer, found)
        windows, mine = state["windows"], self.accelerator.process_index
        self.window.restore(windows[mine if mine < len(windows) else 0])
        self.due = state.get("due", ["scores"] if state.get("unscored") else [])
        self.fingerprint = state.get("data")
        self.falls = state.get("falls", [])
        self.trainer.slower = slower(self.falls)
        metric = self.recipe.evaluate.best if self.recipe.evaluate else None
        self.best = best_known(state["best"], found, self._best_here, metric, self.main)
        return int(state["lines"])

    def _tell(self, step: int, write: bool) -> None:
        scalars = self.window.close(self.accelerator) if write else None
        if scalars and self.main:
            self.log.write(step, scalars)
            self.accelerator.log(scalars, step=step)
        self.watcher.iteration(step, self.recipe.train.steps, scalars)

    @property
    def _planned(self) -> bool:
        """Whether a run that nobody stops has a checkpoint of this iteration, whatever its scores."""
        every, step = self.recipe.every.checkpoint, self.trainer.step
        return step in (0, self.trainer.steps) or bool(every and step % every == 0)

    def _stopped(self, stop: StopFlag, due: Sequence[str] = ()) -> Stopped:
        """The end by a signal, once a checkpoint is on the disk."""
        self._checkpoint(due)
        self.saving.wait()
        return Stopped(stop.number, self.trainer.step)

    def _checkpoint(self, due: Sequence[str] = ()) -> None:
        """Begins to write one, from which point on training may go on."""
        if self.main:
            self.folder.check_there()
        extra = {"windows": gather_object([self.window.state()]), "best": self.best, "lines": self.log.lines}
        best = self.best is not None and self.best["checkpoint"] == self._best_here
        extra |= {"due": [*due], "data": self.fingerprint, "falls": self.falls, "stopped": not (self._planned or best)}
        kept = self.folder.checkpoints / self.best["checkpoint"] if self.best else None

        def then(newest: Path) -> None:
            if kept and best:
                keep_apart(newest, kept)
            prune(newest, self.recipe.every.keep, kept)

        self.saving.begin(self.trainer, self.folder.checkpoints, extra, then)

    def _look(self, due: Sequence[str], stop: StopFlag) -> None:
        """Draws a grid and scores, as far as they are due. Raises Stopped, once a checkpoint holds what is left."""
        for i, what in enumerate(due):
            try:
                if what == "grid":
                    self.show.picture(self.folder.grid(self.trainer.step), stop)
                else:
                    self._score(stop)
            except Interrupted:
                asked_to_stop(self.accelerator, stop)
                raise self._stopped(stop, due[i:]) from None
        if due and self.main:
            self._report()

    def _report(self, under_way: bool = True) -> None:
        renewed(lambda: write_report(self.folder, self.recipe, under_way), self.watcher.note)

    def _score(self, stop: StopFlag) -> dict[str, Any]:
        """Scores of the averaged weights, logged; keeps the best checkpoint by the recipe's metric.

        Raises:
            Interrupted: a signal came.
        """
        scores, best = self.show.scores(stop, self.best, self.recipe.train.seed)
        if scores and self.main:
            write_atomically(self.folder.so_far, json_of_result({**scores, "iteration": self.trainer.step}))
        if best and self.main:
            assert self.recipe.evaluate
            metric = self.recipe.evaluate.best
            self.best = {"metric": metric, "value": scores["values"][metric], "checkpoint": self._best_here}
            write_atomically(self.folder.best, json.dumps(self.best).encode())
        if best and not self._over:
            self._checkpoint()
        return scores

    def _select(self, stop: StopFlag) -> dict[str, Any]:
        """Back to the best checkpoint, if it is not the last; its scores, by other noise; raises as `_score`."""
        self._score(stop)
        best = from_main(self.accelerator, self.best["checkpoint"] if self.best else "")
        if best and best != self._best_here:
            self._load(self.folder.checkpoints / best)
            self.watcher.note(f"iteration {self.trainer.step:,} was better than the end, and is kept")
        scores, _ = self.show.scores(stop, None, stable_seed(self.recipe.train.seed, "selected"))
        return scores

    def _finish(self, stop: StopFlag) -> None:
        """Writes the weights, then the rest, which may fail and can be made again with --resume."""
        self.saving.wait()
        check_learned(self.trainer.step, self.falls)
        main, average = next(iter(self.trainer.system.products)), self.trainer.ema.module

        def save(product: Any, crew: Crew) -> None:
            if crew.rank == 0:
                save_products({**self.trainer.system.products, main: product}, self.folder.weights)

        selects = self.recipe.evaluate is not None and self.recipe.evaluate.select
        try:
            chosen = self._select(stop) if selects else {}
            self.show.to(save, stop)
            self.show.picture(self.folder.samples, stop)
            scores = chosen if selects else self._score(stop)
        except Interrupted:
            asked_to_stop(self.accelerator, stop)
            raise Stopped(stop.number, self.trainer.step) from None
        if self.main:
            if scores:
                write_atomically(self.folder.scores, json_of_result(scores))
            self.folder.so_far.unlink(missing_ok=True)
            renewed(lambda: write_card(self.folder, self.recipe, average), self.watcher.note, "the card")
            self._report(under_way=False)

"""A run from a recipe: train, look, score, checkpoint, resume, stop when asked, and leave a folder one can trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from genkit.catalog import build
from genkit.classifying import Classifying
from genkit.files import write_atomically
from genkit.generator import Generator
from genkit.images import grid, points_png, write_png
from genkit.pretrained import Pretrained
from genkit.recipe import Evaluate, Recipe
from genkit.training.checkpoint import load_checkpoint, newest_good, prune, save_checkpoint, tidy
from genkit.training.folder import RunFolder
from genkit.training.log import MetricsLog, Window
from genkit.training.preparation import prepare
from genkit.training.report import COLUMNS, write_report
from genkit.training.seeds import stable_seed
from genkit.training.signals import Interrupted, StopFlag, Stopped, stop_flag

POINTS = 2000


class Watcher(Protocol):
    """Who is told how a run goes; only the first process tells."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def scoring(self, done: int, total: int) -> None: ...


class Silence:
    """A Watcher that says nothing."""

    def iteration(self, step: int, steps: int, scalars: dict[str, float] | None) -> None: ...
    def note(self, line: str) -> None: ...
    def scoring(self, done: int, total: int) -> None: ...


def train(
    recipe: Recipe | str | Path, out: str | Path | None = None, *, resume: bool = False, watcher: Watcher | None = None
) -> Path:
    """Trains `recipe` into the run folder `out` (default runs/<name>) and returns the folder.

    Resuming goes on from the newest good checkpoint, and what comes out equals an uninterrupted run bit for bit on the
    same machine, versions and number of processes.

    Raises:
        RecipeError, DataError: the recipe or the data cannot be used.
        CheckpointError: the folder is taken, of another recipe, or cannot be written.
        TrainingError: a loss is not finite.
        Stopped: a signal asked to stop; a checkpoint has been written.
    """
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    folder = RunFolder(out or Path("runs") / recipe.name)
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=recipe.train.precision,
        log_with=_trackers(recipe) or None,
        project_dir=folder.path,
    )
    quiet = watcher is None or not accelerator.is_main_process
    run = Run(recipe, folder, accelerator, Silence() if quiet or watcher is None else watcher)
    if not accelerator.is_main_process:
        accelerator.wait_for_everyone()
        run.go(resume)
        return folder.path
    with folder.locked():
        folder.open(recipe, resume)
        accelerator.wait_for_everyone()
        run.go(resume)
    return folder.path


def _trackers(recipe: Recipe) -> list[str]:
    """Those that the recipe asks for and that are installed."""
    from accelerate.utils import is_tensorboard_available, is_wandb_available

    there = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}
    return [name for name in recipe.train.trackers if there[name]()]


class Run:
    """One run in one process."""

    def __init__(self, recipe: Recipe, folder: RunFolder, accelerator: Accelerator, watcher: Watcher):
        self.recipe, self.folder, self.accelerator, self.watcher = recipe, folder, accelerator, watcher
        self.data, self.trainer = prepare(recipe, accelerator)
        self.window, self.log = Window(), MetricsLog(folder.metrics)
        self.best: dict[str, Any] | None = None
        self.unscored = False

    @property
    def main(self) -> bool:
        return self.accelerator.is_main_process

    def go(self, resume: bool) -> None:
        if self.recipe.train.threads:
            torch.set_num_threads(self.recipe.train.threads)
        with torch.random.fork_rng(devices=[]), stop_flag() as stop:
            try:
                self._start(resume)
                if self.unscored and self.trainer.step < self.trainer.steps:
                    self._score(stop)
                while self.trainer.step < self.trainer.steps:
                    self._iterate(stop)
                self._finish(stop)
            finally:
                self.accelerator.end_training()

    def _iterate(self, stop: StopFlag) -> None:
        """One iteration, and what is due after it; the last one leaves scores and checkpoint to `_finish`."""
        every, steps = self.recipe.every, self.trainer.steps
        self.window.add(self.trainer.iterate())
        step = self.trainer.step
        due = [interval and step % interval == 0 for interval in (every.log, every.grid, every.evaluate)]
        self._tell(step, write=due[0] or step == steps)
        if due[1]:
            self._draw(self.folder.grid(step))
        if due[2] and step < steps:
            self._score(stop)
        if self._asked_to_stop(stop):
            self._checkpoint()
            raise Stopped(stop.number, step)
        if every.checkpoint and step % every.checkpoint == 0 and step < steps:
            self._checkpoint()

    def _start(self, resume: bool) -> None:
        if self.main:
            tidy(self.folder.checkpoints)
        found = newest_good(self.folder.checkpoints, self.watcher.note) if resume and self.main else None
        found = Path(path) if (path := self._from_main(str(found or ""))) else None
        lines = self._load(found) if found else 0
        if resume:
            self.watcher.note(f"resumed from {found.name}" if found else "no checkpoint: starting from the beginning")
        for name in self.recipe.train.trackers:
            if name not in _trackers(self.recipe):
                self.watcher.note(f"{name} is not installed, metrics go to {self.folder.metrics.name} alone")
        for line in self.data.remarks():
            self.watcher.note(line)
        if self.main:
            self.log.rewind(lines)
            classes = list(self.data.conditions.class_names)
            self.folder.write_environment(
                self.recipe, processes=self.accelerator.num_processes, data=self.data.name, classes=classes
            )
        if self.accelerator.log_with:
            self.accelerator.init_trackers("tensorboard")

    def _load(self, found: Path) -> int:
        """Everything as it was at checkpoint `found`; the number of lines that the log had then."""
        state = load_checkpoint(self.trainer, found)
        windows = state["windows"]
        mine = self.accelerator.process_index
        self.window.restore(windows[mine if mine < len(windows) else 0], self.accelerator.device)
        self.best, self.unscored = state["best"], state["unscored"]
        return int(state["lines"])

    def _from_main(self, text: str) -> str:
        if self.accelerator.num_processes == 1:
            return text
        from accelerate.utils import broadcast_object_list

        return str(broadcast_object_list([text])[0])

    def _tell(self, step: int, write: bool) -> None:
        scalars = self.window.close(self.accelerator) if write else None
        if scalars and self.main:
            self.log.write(step, scalars)
            self.accelerator.log(scalars, step=step)
        self.watcher.iteration(step, self.recipe.train.steps, scalars)

    def _asked_to_stop(self, stop: StopFlag) -> bool:
        if self.accelerator.num_processes > 1:
            asked = torch.tensor([stop.number], device=self.accelerator.device)
            stop.number = int(self.accelerator.gather(asked).max())
        return bool(stop)

    def _checkpoint(self, *, unscored: bool = False) -> None:
        windows = gather_object([self.window.state()])
        extra = {"windows": windows, "best": self.best, "lines": self.log.lines, "unscored": unscored}
        newest = save_checkpoint(self.trainer, self.folder.checkpoints, extra)
        if self.main:
            spare = self.folder.checkpoints / self.best["checkpoint"] if self.best else None
            prune(newest, self.recipe.every.keep, spare)

    def _draw(self, path: Path) -> None:
        product = self.trainer.ema.module
        if self.main and isinstance(product, Generator):
            with self.trainer.system.presented(product):
                draw_samples(product, path, seed=stable_seed(self.recipe.train.seed, "grid"))

    def _score(self, stop: StopFlag) -> dict[str, Any]:
        """Scores of the averaged weights, logged; keeps the best checkpoint by the recipe's metric.

        Raises:
            Stopped: a signal came; the checkpoint remembers that scores are due.
        """
        wanted, product = self.recipe.evaluate, self.trainer.ema.module
        if not wanted or not isinstance(product, (Generator, Classifying)):
            return {}
        scores, verdict = {}, ""
        if self.main:
            try:
                with self.trainer.system.presented(product):
                    scores = self._evaluate(product, wanted, stop)
                verdict = "best" if self._is_best(scores, wanted) else ""
            except Interrupted:
                verdict = "interrupted"
        verdict = self._from_main(verdict)
        if verdict == "interrupted":
            self._asked_to_stop(stop)
            self._checkpoint(unscored=True)
            raise Stopped(stop.number, self.trainer.step)
        self._log_scores(scores)
        if verdict == "best":
            self._keep_best(scores)
        return scores

    def _log_scores(self, scores: dict[str, Any]) -> None:
        if self.main:
            values = {f"eval/{name}": value for name, value in scores["values"].items()}
            self.log.write(self.trainer.step, values)
            self.accelerator.log(values, step=self.trainer.step)

    def _evaluate(self, product: Generator | Classifying, wanted: Evaluate, stop: StopFlag) -> dict[str, Any]:
        from genkit.evaluation import accuracy, evaluate

        against = build(wanted.against, kind="data", where="evaluate.against") if wanted.against else self.data

        def progress(done: int, total: int) -> None:
            self.watcher.scoring(done, total)
            if stop:
                raise Interrupted

        if not isinstance(product, Generator):
            return accuracy(product, against, wanted.n, self.recipe.train.seed, progress)
        return evaluate(
            product,
            against,
            metrics=wanted.metrics,
            n=wanted.n,
            extractor=wanted.extractor,
            seed=self.recipe.train.seed,
            progress=progress,
        ).to_json()

    def _is_best(self, scores: dict[str, Any], wanted: Evaluate) -> bool:
        if self.best is None:
            return True
        gain = scores["values"][wanted.best] - self.best["value"]
        return bool(gain > 0 if scores["better"][wanted.best] == "higher" else gain < 0)

    def _keep_best(self, scores: dict[str, Any]) -> None:
        step = self.trainer.step
        if self.main:
            assert self.recipe.evaluate
            metric = self.recipe.evaluate.best
            self.best = {"metric": metric, "value": scores["values"][metric], "checkpoint": f"step-{step:08d}"}
            write_atomically(self.folder.best, json.dumps(self.best).encode())
        if step < self.trainer.steps:
            self._checkpoint()

    def _finish(self, stop: StopFlag) -> None:
        product = self.trainer.ema.module
        self._checkpoint()
        scores = self._score(stop)
        if self.main:
            assert isinstance(product, Pretrained)
            with self.trainer.system.presented(product):
                product.save_pretrained(self.folder.weights)
            self._draw(self.folder.samples)
            if scores:
                write_atomically(self.folder.scores, json.dumps(scores, indent=2).encode())
            write_report(self.folder, self.recipe)


def draw_samples(generator: Generator, path: Path, *, seed: int) -> None:
    """A picture of samples: a grid of 64 images, one class a column where there are classes, or a scatter of points."""
    rng = torch.Generator().manual_seed(seed)
    if len(generator.sample_shape) != 3:
        points_png(generator.sample(POINTS, rng=rng), path)
        return
    columns, condition = 8, None
    if "label" in generator.conditions:
        columns = min(generator.conditions["label"].classes, COLUMNS)
        condition = {"label": torch.arange(8 * columns) % columns}
    write_png(path, grid(generator.sample(8 * columns, condition=condition, rng=rng), columns))

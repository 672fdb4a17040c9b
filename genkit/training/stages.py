"""`genkit train` and `genkit.train`: one run, or a run of stages, each a run folder inside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from genkit.core.crew import Crew
from genkit.core.display import bar
from genkit.core.documents import json_of_result
from genkit.core.errors import CheckpointError, RecipeError, suggest
from genkit.core.files import write_atomically
from genkit.core.generator import Pictured
from genkit.core.interruption import Interrupted, Stopped, stop_flag
from genkit.core.pretrained import Pretrained
from genkit.core.randomness import stable_seed
from genkit.core.reference import changed
from genkit.training.engine import accelerator_of, from_main
from genkit.training.one_run import train_one
from genkit.training.peers import among_peers
from genkit.training.place import STAGE
from genkit.training.recipe import Recipe
from genkit.training.recipe_file import STAGES
from genkit.training.report import renewed, write_report_of_stages
from genkit.training.run_card import write_card
from genkit.training.run_folder import RunFolder
from genkit.training.sharing import shared
from genkit.training.show import DRAWING, Scoring, draw_samples
from genkit.training.staged import StagedRecipe, load_recipe
from genkit.training.watcher import Silence, TrainingWatcher, Watcher


class StagedFolder(RunFolder):
    """A run folder with a folder a stage; its report is written last, so that it says that all is done."""

    def stage(self, name: str) -> RunFolder:
        return RunFolder(self.path / name)

    def check_stages(self, recipe: StagedRecipe, resume: bool) -> None:
        """Raises CheckpointError unless every stage that was begun may go on, after stages that are done."""
        written = self.written() if self.holds_run(resume) else {STAGES: {}}
        if STAGES not in written:
            raise CheckpointError(f"{self.path} holds a run of one training, not of stages; choose another --out")
        before = written[STAGES]
        for name in map(str, before) if isinstance(before, Mapping) else ():
            if name not in recipe.stages and self.stage(name).recipe.is_file():
                raise CheckpointError(
                    f"{self.path} has trained a stage {name}, which the recipe does not have"
                    f"{suggest(name, recipe.stages)}; choose another --out"
                )
        undone = ""
        for name, stage in recipe.in_run(self.path).items():
            folder = self.stage(name)
            folder.check(stage, resume)
            if undone and folder.recipe.is_file() and undone in _stages_in(stage.system):
                raise CheckpointError(
                    f"{folder.path} was trained on stage {undone}, which would change now; choose another --out"
                )
            undone = undone or ("" if folder.trained(stage) else name)

    def done(self, recipe: StagedRecipe) -> bool:
        """Whether nothing is left to do for this recipe."""
        known = self.recipe.is_file() and self.recipe.read_text(encoding="utf-8") == recipe.to_yaml()
        stages = recipe.in_run(self.path).items()
        return known and self.reported and all(self.stage(name).finished(stage) for name, stage in stages)

    def begin(self, recipe: StagedRecipe) -> None:
        """Writes the recipe of a new run; that of an existing one stays until all its stages have taken the new one."""
        self.report.unlink(missing_ok=True)
        if not self.recipe.is_file():
            self.keep(recipe)


def _stages_in(spec: Any) -> list[Any]:
    """Names of the stages that a spec uses."""
    nodes = list[Mapping[str, Any]]()
    changed(spec, lambda node: nodes.append(node) or node)  # type: ignore[func-returns-value]
    return [node[STAGE] for node in nodes if STAGE in node]


def train(
    recipe: Recipe | StagedRecipe | str | Path,
    out: str | Path | None = None,
    *,
    resume: bool = False,
    start: str | Path | None = None,
    watcher: Watcher | None = None,
    progress: bool = True,
) -> Path:
    """Trains `recipe` into the run folder `out` (default runs/<name>) and returns the folder.

    Resuming goes on from the newest good checkpoint, and the result equals an uninterrupted run bit for bit on the
    same machine, versions and number of processes. A recipe with stages is trained stage by stage, each in a folder of
    its name; resuming goes on in the stage that was under way. A finished run is left as it is. Processes that know
    each other already stay connected.

    Args:
        start: weights or a run that a new run begins from; see genkit.training.start.
        watcher: told of all that happens; None shows a bar, on a terminal or in a notebook.
        progress: False shows none.

    Raises:
        RecipeError, DataError: the recipe or the data cannot be used.
        WeightsError: `start`, or weights that the recipe names, cannot be used.
        CheckpointError: the folder is taken, of another recipe or other data, or cannot be written.
        TrainingError: a loss is not finite.
        Stopped: a signal asked to stop; a checkpoint has been written.
        ProcessLost: another process of the run is gone.
    """
    recipe = recipe if isinstance(recipe, (Recipe, StagedRecipe)) else load_recipe(recipe)
    out = Path(out or Path("runs") / recipe.name)
    begin = None if start is None else str(start)
    if resume and isinstance(recipe, Recipe) and (folder := RunFolder(out)).finished(recipe):
        folder.check(recipe, resume, begin)
        return out
    with ExitStack() as held:
        if watcher is None:
            watcher = TrainingWatcher(held.enter_context(bar())) if progress else Silence()
        if isinstance(recipe, Recipe):
            alone = not torch.distributed.is_initialized()
            accelerator = accelerator_of(recipe, out)
            train_one(recipe, RunFolder(out), accelerator, resume=resume, start=begin, watcher=watcher, last=alone)
            return out
        if begin is not None:
            raise RecipeError("--from begins one training; a stage that exists is given as {weights: NAME} instead")
        return train_stages(recipe, out, resume, watcher)


def train_stages(recipe: StagedRecipe, out: Path, resume: bool, watcher: Watcher) -> Path:
    """Trains the unfinished stages of `recipe` in the run folder `out`; see `genkit.training.train`."""
    folder, trainings = StagedFolder(out), recipe.in_run(out)
    alone = not torch.distributed.is_initialized()
    accelerator = accelerator_of(next(iter(trainings.values())))
    main, count = accelerator.is_main_process, accelerator.num_processes
    watcher = watcher if main else Silence()
    recipe.check(count)
    if main:
        folder.check_stages(recipe, resume)
    with among_peers(accelerator.process_index, count), ExitStack() as held:
        if main:
            held.enter_context(folder.locked())
            folder.begin(recipe)
        accelerator.wait_for_everyone()
        if alone:
            held.callback(accelerator.end_training)
        for name, stage in trainings.items():
            mine = folder.stage(name)
            finished = main and mine.finished(stage)
            if from_main(accelerator, "finished" if finished else "not") == "finished":
                if main:
                    mine.open(stage, resume=True)
                continue
            watcher.note(f"stage {name}")
            accelerator = accelerator_of(stage, mine.path)
            if main:
                renewed(partial(write_report_of_stages, folder, recipe, under_way=True), watcher.note)
            train_one(stage, mine, accelerator, resume=mine.recipe.is_file(), watcher=watcher, last=False)
        _Ending(recipe, folder, accelerator, watcher).finish()
    return folder.path


class _Ending:
    """The end of a run of stages: the product is made, pictured and scored, and the report written."""

    def __init__(self, recipe: StagedRecipe, folder: StagedFolder, accelerator: Accelerator, watcher: Watcher):
        self.recipe, self.folder, self.accelerator, self.watcher = recipe, folder, accelerator, watcher

    @property
    def last(self) -> Recipe:
        return next(reversed(self.recipe.trainings.values()))

    def finish(self) -> None:
        """All processes take part.

        Raises:
            Stopped: a signal came; --resume does it again.
        """
        with stop_flag() as stop:
            try:
                shared(self.accelerator, self._leave, stop)
            except Interrupted as interrupted:
                raise Stopped(interrupted.exit_code - 128, self.last.train.steps) from None

    def _leave(self, crew: Crew) -> None:
        product = self.recipe.product_of(self.folder.path)
        if product is not None:
            if crew.rank == 0:
                product.save_pretrained(self.folder.weights)
            self._show(product.to(self.accelerator.device), crew)  # type: ignore[attr-defined]
        if crew.rank == 0:
            self.folder.keep(self.recipe)
            if product is not None:
                module: Any = product
                renewed(partial(write_card, self.folder, self.recipe, module), self.watcher.note, "the card")
            write = partial(write_report_of_stages, self.folder, self.recipe)
            renewed(write, self.watcher.note)

    def _show(self, product: Pretrained, crew: Crew) -> None:
        seed, data = self.last.train.seed, self.last.build_data()
        if isinstance(product, Pictured):
            self.watcher.work(DRAWING, 0, 1)
            draw_samples(product, self.folder.samples, seed=stable_seed(seed, "grid"), data=data, crew=crew)
            self.watcher.work(DRAWING, 1, 1)
        if self.recipe.evaluate:
            scores = Scoring(self.recipe.evaluate, product, data).scores(product, seed, self.watcher, crew)
            if crew.rank == 0:
                write_atomically(self.folder.scores, json_of_result(scores))

"""The training of one recipe in its run folder, begun or gone on with, in every process of a launch."""

from __future__ import annotations

from contextlib import ExitStack

from accelerate import Accelerator

from genkit.training.peers import among_peers
from genkit.training.recipe import Recipe
from genkit.training.run import Run
from genkit.training.run_folder import RunFolder
from genkit.training.start import check_start, start_from, start_of
from genkit.training.watcher import Silence, Watcher


def train_one(
    recipe: Recipe,
    folder: RunFolder,
    accelerator: Accelerator,
    *,
    resume: bool,
    start: str | None = None,
    watcher: Watcher | None = None,
    last: bool = True,
) -> None:
    """See `genkit.training.train`.

    Args:
        last: whether the processes end their communication after it.
    """
    start = start if resume and folder.recipe.is_file() else start_of(recipe, start)
    if accelerator.is_main_process:
        folder.check(recipe, resume, start)
    if start:
        check_start(start)
    run = Run(recipe, folder, accelerator, watcher if watcher and accelerator.is_main_process else Silence())
    if start:
        run.started = start_from(start, run.trainer, run.watcher.note)
    with among_peers(accelerator.process_index, accelerator.num_processes), ExitStack() as held:
        if accelerator.is_main_process:
            held.enter_context(folder.locked())
            run.changes = folder.open(recipe, resume, start)
        accelerator.wait_for_everyone()
        run.go(resume, last)
